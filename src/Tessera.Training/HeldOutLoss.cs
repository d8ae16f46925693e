using Tessera.Models;
using Tessera.Nn;
using Tessera.Nn.Experts;
using Tessera.Tensors;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training;

/// <summary>The loss of a model on examples it does not learn from.</summary>
/// <param name="Nats">The summed negative log-likelihood of all targets.</param>
/// <param name="Tokens">How many targets there were.</param>
/// <param name="ExpertUse">How often each routed expert was chosen, by layer.</param>
public sealed record HeldOutLoss(double Nats, long Tokens, IReadOnlyDictionary<string, IReadOnlyList<long>> ExpertUse)
{
    /// <summary>Nats a token.</summary>
    public double Mean => Nats / Math.Max(1, Tokens);

    /// <summary>Measures the first examples of a dataset.</summary>
    /// <param name="objective">What is learned, and by which model.</param>
    /// <param name="data">Examples that it prepared.</param>
    /// <param name="examples">How many at most.</param>
    public static HeldOutLoss Measure(Objective objective, Dataset data, int examples)
    {
        var (nats, tokens, use) = (0.0, 0L, new ExpertUse());
        var batches = data.InOrder(examples).GetEnumerator();
        while (true)
        {
            using var scope = Arena.Current.Scope();
            using var pause = Tape.Pause();
            if (!batches.MoveNext()) break;
            var batch = batches.Current;
            var step = batch.Context();
            step.ExpertUse = use;
            if (batch.Source is not null) step.Lengths ??= TargetLengths(batch);
            nats += objective.Loss(batch, step, default).Item() * (double)batch.TargetTokens;
            tokens += batch.TargetTokens;
        }

        return new HeldOutLoss(nats, tokens, use.In(objective.Model).ToDictionary(layer => layer.Layer, layer => layer.Counts));
    }
    /// <summary>I32 [batch]: how many places of each row come before what only fills it up; targets beside sources say it by what is to be
    /// predicted. No other place sees those, but experts would count them.</summary>
    private static Tensor TargetLengths(Batch batch)
    {
        var (rows, length) = (batch.Targets.Shape[0], batch.Targets.Shape[1]);
        var lengths = Tensor.Temporary([rows], ElementType.I32);
        for (var row = 0; row < rows; row++)
            lengths.Ints[row] = 1 + batch.Targets.Ints.Slice(row * length, length).LastIndexOfAnyInRange(0, int.MaxValue);
        return lengths;
    }
}
