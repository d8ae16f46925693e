using Tessera.Nn.Heads;
using Tessera.Tensors;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Metrics;

/// <summary>How many labels a model gives as they were wanted: of sequences with a head of classes, of words with one of tags.</summary>
/// <param name="Right">How many.</param>
/// <param name="Total">Of how many.</param>
public sealed record LabelAccuracy(long Right, long Total)
{
    /// <summary>The share of right ones; NaN where there were none.</summary>
    public double Share => Total == 0 ? double.NaN : (double)Right / Total;

    /// <summary>Counts over all examples of a dataset; null where the model's head tells no labels apart.</summary>
    /// <param name="objective">Its model is measured.</param>
    /// <param name="data">Examples that it prepared.</param>
    public static LabelAccuracy? Measure(Objective objective, Dataset data)
    {
        if (objective.Model.Head is not (ClassesHead or TagsHead)) return null;
        var (right, total) = (0L, 0L);
        var batches = data.InOrder(int.MaxValue).GetEnumerator();
        while (true)
        {
            using var scope = Arena.Current.Scope();
            using var pause = Tape.Pause();
            if (!batches.MoveNext()) break;
            var batch = batches.Current;
            var logits = objective.Model.Logits(batch, batch.Context());
            var best = Op.TopIndices(logits.Reshape([logits.Shape.Rows, logits.Shape.Width]), 1);
            for (var i = 0; i < best.Ints.Length; i++)
            {
                if (batch.Targets.Ints[i] < 0) continue;
                total++;
                if (best.Ints[i] == batch.Targets.Ints[i]) right++;
            }

            GC.KeepAlive(best);
        }

        return new LabelAccuracy(right, total);
    }
}
