using Tessera.Models;
using Tessera.Tensors;
using Tessera.Training.Phases;

namespace Tessera.Training.Data;

/// <summary>Takes one batch after the other from a dataset, epoch by epoch.</summary>
/// <param name="data">The dataset.</param>
/// <param name="position">Where in it training stands; moves on.</param>
/// <param name="seed">The run's.</param>
internal readonly struct DatasetReader(RunDataset data, DataPosition position, ulong seed)
{
    /// <summary>Where the order of the dataset comes from; the first one's is that of runs that have no other.</summary>
    private CounterRandom Order
    {
        get
        {
            var order = new CounterRandom(seed).Derive("order");
            return data.Index == 0 ? order : order.Derive((ulong)data.Index);
        }
    }

    /// <summary>Takes the lengths of a place in a phase. Where they are others than before, another pass begins.</summary>
    /// <param name="phase">The phase.</param>
    /// <param name="progress">The share of it that is done.</param>
    public void Resize(PhasePlan phase, double progress)
    {
        var (length, source) = (phase.Length.At(progress), phase.SourceLength.At(progress));
        data.Train.Resize(length, source);
        if ((length, source) == (position.Length, position.SourceLength)) return;
        if (position.Length != 0 && position.BatchesUsed > 0) NextEpoch();
        (position.Length, position.SourceLength) = (length, source);
    }

    private void NextEpoch() => (position.Epoch, position.BatchesUsed) = (position.Epoch + 1, 0);

    /// <summary>The next batch, as temporaries of the current arena scope.</summary>
    public Batch Next()
    {
        if (position.BatchesUsed >= data.Train.BatchesIn(position.Epoch, Order)) NextEpoch();
        return data.Train.Make(position.Epoch, position.BatchesUsed++, Order);
    }
}
