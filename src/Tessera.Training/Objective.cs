using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Phases;

namespace Tessera.Training;

/// <summary>What a phase makes smaller: the model's loss plus its parts' losses times their weights.</summary>
/// <param name="model">The model.</param>
/// <param name="phase">Label smoothing and the weights of losses.</param>
/// <param name="path">The phase's place in the recipe.</param>
internal sealed class Objective(SequenceModel model, Phase phase, string path)
{
    private readonly WantedLosses _wanted = new(phase.Losses.Where(loss => loss.Value != 0).Select(loss => loss.Key));
    private bool _isChecked;

    /// <summary>The phase.</summary>
    public Phase Phase => phase;

    /// <summary>Adds the gradient of one batch's objective to the parameters.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="random">Dropout's random numbers.</param>
    /// <param name="scale">What the gradient is multiplied by.</param>
    /// <returns>The model's loss, without its parts'.</returns>
    /// <exception cref="RecipeException">The phase weighs a loss that no part reports.</exception>
    public double AddGradient(Batch batch, CounterRandom random, float scale)
    {
        using var tape = Tape.Record();
        var step = ForwardContext.At(batch.Positions);
        (step.Segments, step.IsTraining, step.Random, step.WantedLosses) = (batch.Segments, true, random, _wanted);
        step.IsCheckpointed = phase.Checkpointing;
        var loss = model.Loss(batch, step, new CrossEntropySettings(phase.LabelSmoothing));
        var total = loss;
        for (var index = 0; index < step.Losses.Count; index++)
        {
            var (name, part) = step.Losses[index];
            total = Op.Add(total, Op.Scale(part, (float)phase.Losses[name]));
        }

        if (!_isChecked) RequireOffered();
        var value = loss.Item();
        tape.Backward(total, scale);
        return value;
    }

    /// <summary>A weight for a loss that no part offers is a slip of the pen. Parts offer the same losses in every step.</summary>
    private void RequireOffered()
    {
        if (phase.Losses.Keys.FirstOrDefault(name => !_wanted.Offered.Contains(name)) is { } unknown)
        {
            var offered = _wanted.Offered.Count == 0 ? "none, this model's parts report no losses" : string.Join(", ", _wanted.Offered);
            throw new RecipeException($"{path}.losses.{unknown}", $"is no loss of this model; allowed: {offered}");
        }

        _isChecked = true;
    }
}
