using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Phases;

namespace Tessera.Training;

/// <summary>What a phase makes smaller: the model's loss plus its parts' losses times their weights.</summary>
internal static class Objective
{
    /// <summary>Adds the gradient of one batch's objective to the parameters.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="phase">Label smoothing and the weights of losses.</param>
    /// <param name="random">Dropout's random numbers.</param>
    /// <param name="scale">The share of this batch in the step's gradient.</param>
    /// <returns>The model's loss, without its parts'.</returns>
    public static double AddGradient(SequenceModel model, Batch batch, Phase phase, CounterRandom random, float scale)
    {
        using var tape = Tape.Record();
        var step = new Step { Positions = batch.Positions, Segments = batch.Segments, IsTraining = true, Random = random };
        var loss = model.Loss(batch, step, new CrossEntropySettings(phase.LabelSmoothing));
        var total = loss;
        foreach (var (name, part) in step.Losses)
        {
            if (phase.Losses.TryGetValue(name, out var weight) && weight != 0) total = Op.Add(total, Op.Scale(part, (float)weight));
        }

        RequireReported(phase, step);
        var value = loss.Item();
        tape.Backward(total, scale);
        return value;
    }

    /// <summary>A weight for a loss that no part reports is a slip of the pen.</summary>
    private static void RequireReported(Phase phase, Step step)
    {
        foreach (var (name, _) in phase.Losses)
        {
            if (step.Losses.Any(part => part.Name == name)) continue;
            var reported = step.Losses.Count == 0 ? "none, this model's parts report no losses" : string.Join(", ", step.Losses.Select(part => part.Name).Distinct());
            throw new RecipeException($"phases.losses.{name}", $"is no loss of this model; allowed: {reported}");
        }
    }
}
