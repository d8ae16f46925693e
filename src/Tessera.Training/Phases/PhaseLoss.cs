using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Objectives;

namespace Tessera.Training.Phases;

/// <summary>What a phase makes smaller: the loss of its objective plus its model's parts' losses times their weights.</summary>
/// <param name="objective">The objective.</param>
/// <param name="phase">Label smoothing and the weights of losses.</param>
internal sealed class PhaseLoss(Objective objective, Phase phase)
{
    private readonly WantedLosses _wanted = new(phase.Losses.Where(loss => loss.Value != 0).Select(loss => loss.Key));

    /// <summary>The phase.</summary>
    public Phase Phase => phase;

    /// <summary>Adds the gradient of one batch's loss to the parameters.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="random">Dropout's random numbers.</param>
    /// <param name="scale">What the gradient is multiplied by.</param>
    /// <returns>The objective's loss, without the parts'.</returns>
    public double AddGradient(Batch batch, CounterRandom random, float scale)
    {
        using var tape = Tape.Record();
        var context = batch.Context();
        (context.IsTraining, context.IsCheckpointed, context.Random, context.WantedLosses) = (true, phase.Checkpointing, random, _wanted);
        var loss = objective.Loss(batch, context, new CrossEntropySettings(phase.LabelSmoothing));
        var total = loss;
        for (var index = 0; index < context.Losses.Count; index++)
        {
            var (name, part) = context.Losses[index];
            total = Op.Add(total, Op.Scale(part, (float)phase.Losses[name]));
        }

        var value = loss.Item();
        tape.Backward(total, scale);
        return value;
    }
}
