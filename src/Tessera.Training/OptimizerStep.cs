using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>
/// One step of the optimizer: passes over one or several batches, whose gradients add up so that each target counts alike,
/// and the update, unless the gradients are not finite. The passes compute in the phase's precision, the update in F32.
/// A step like an earlier one allocates nothing.
/// </summary>
internal sealed class OptimizerStep(TrainingSession session)
{
    private readonly Module[] _parts = [.. session.Model.Modules().Select(named => named.Module)];
    private Objective? _objective;

    private TrainingState State => session.State;

    /// <summary>Does a step of the current phase; the state's place in the data and its loss scale move on.</summary>
    public StepOutcome Run(double learningRate)
    {
        var phase = session.Recipe.Phases[State.Phase];
        if (!ReferenceEquals(_objective?.Phase, phase)) _objective = Enter(phase);
        var scales = phase.Precision == PhasePrecision.F16;
        if (State.PhaseStep == 0) State.LossScale = scales ? LossScale.Start(phase.LossScale) : LossScale.None;
        var scale = State.LossScale;
        for (var index = 0; index < session.Parameters.Count; index++) session.Parameters[index].Parameter.Value.ClearGradient();

        var passes = Passes(_objective, scale.Value);
        var clip = GradientClip.Measure(session.Optimizer.Learning, phase.ClipNorm, scale.Value * passes.Batches);
        if (clip.IsFinite) session.Optimizer.Step(learningRate, clip.Scale);
        else State.Skipped++;
        foreach (var part in _parts) part.AfterUpdate();
        if (scales) State.LossScale = scale.After(clip.IsFinite, phase.LossScale);
        return new StepOutcome(passes.Loss, passes.Tokens, clip, scale);
    }

    /// <summary>Begins the current phase, or goes on in the middle of it.</summary>
    private Objective Enter(Phase phase)
    {
        session.Rules.Apply(phase);
        return new Objective(session.Model, phase, $"phases[{State.Phase}]");
    }

    /// <summary>Forward and backward over the step's batches. A batch weighs as many times the first one as it has targets, so
    /// that a gradient flows back at the size it has in a step of one batch: F16 holds no more.</summary>
    private (double Loss, long Tokens, double Batches) Passes(Objective objective, float scale)
    {
        var phase = objective.Phase;
        var random = new CounterRandom(session.Recipe.Seed).Derive("dropout").Derive((ulong)State.Step);
        var (nats, tokens, targets, first) = (0.0, 0L, 0L, 0);
        using var precision = Autocast.Enter(phase.Precision.OfOperations());
        for (var part = 0; part < phase.Accumulate; part++)
        {
            using var scope = Arena.Current.Scope();
            var batch = NextBatch();
            if (first == 0) first = batch.TargetTokens;
            var weight = (float)batch.TargetTokens / Math.Max(1, first);
            var loss = objective.AddGradient(batch, random.Derive((ulong)part), scale * weight);
            nats += loss * batch.TargetTokens;
            tokens += batch.Tokens;
            targets += batch.TargetTokens;
        }

        return (nats / Math.Max(1, targets), tokens, targets == 0 ? 1 : (double)targets / first);
    }

    private Batch NextBatch()
    {
        var order = new CounterRandom(session.Recipe.Seed).Derive("order");
        if (State.BatchesUsed >= session.Train.BatchesIn(State.Epoch, order)) (State.Epoch, State.BatchesUsed) = (State.Epoch + 1, 0);
        return session.Train.Make(State.Epoch, State.BatchesUsed++, order);
    }
}

/// <summary>What came of a step.</summary>
/// <param name="Loss">Nats a target.</param>
/// <param name="Tokens">Tokens learned from.</param>
/// <param name="Clip">The norm of the gradient; not finite where the step was left out.</param>
/// <param name="Scale">The loss scale of the step.</param>
internal readonly record struct StepOutcome(double Loss, long Tokens, GradientClip Clip, LossScale Scale);
