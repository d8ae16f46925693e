using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Data;
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
    private PhaseLoss? _loss;

    private TrainingState State => session.State;

    /// <summary>Does a step of the current phase; the state's place in the data and its loss scale move on.</summary>
    public StepOutcome Run(double learningRate)
    {
        var phase = session.Phase.Phase;
        if (!ReferenceEquals(_loss?.Phase, phase)) _loss = Enter(phase);
        var scales = phase.Precision == PhasePrecision.F16;
        if (State.PhaseStep == 0) State.LossScale = scales ? LossScale.Start(phase.LossScale) : LossScale.None;
        var scale = State.LossScale;
        for (var index = 0; index < session.Parameters.Count; index++) session.Parameters[index].Parameter.Value.ClearGradient();

        var passes = Passes(_loss, scale.Value);
        var clip = GradientClip.Measure(session.Optimizers.Learning, phase.ClipNorm, scale.Value * passes.Batches);
        if (clip.IsFinite) session.Optimizers.Step(learningRate, clip.Scale);
        else State.Skipped++;
        foreach (var part in _parts) part.AfterUpdate();
        if (scales) State.LossScale = scale.After(clip.IsFinite, phase.LossScale);
        return new StepOutcome(passes.Loss, passes.Tokens, clip, scale);
    }

    /// <summary>Begins the current phase, or goes on in the middle of it.</summary>
    private PhaseLoss Enter(Phase phase)
    {
        session.Plan.Parameters.Apply(phase, session.Optimizers);
        return new PhaseLoss(session.Data.Objective, phase);
    }

    /// <summary>Forward and backward over the step's batches. A batch weighs as many times the first one as it has targets, so
    /// that a gradient flows back at the size it has in a step of one batch: F16 holds no more.</summary>
    private (double Loss, long Tokens, double Batches) Passes(PhaseLoss phaseLoss, float scale)
    {
        var phase = phaseLoss.Phase;
        var random = new CounterRandom(session.Recipe.Seed).Derive("dropout").Derive((ulong)State.Step);
        var (nats, tokens, targets, first) = (0.0, 0L, 0L, 0);
        using var precision = Autocast.Enter(phase.Precision.OfOperations());
        var reader = new DatasetReader(session.Data, State.Datasets[session.Data.Index], session.Recipe.Seed);
        reader.Resize(session.Phase, State.Progress(phase));
        for (var part = 0; part < phase.Accumulate; part++)
        {
            using var scope = Arena.Current.Scope();
            var batch = reader.Next();
            if (first == 0) first = batch.TargetTokens;
            var weight = (float)batch.TargetTokens / Math.Max(1, first);
            var loss = phaseLoss.AddGradient(batch, random.Derive((ulong)part), scale * weight);
            nats += loss * batch.TargetTokens;
            tokens += batch.Tokens;
            targets += batch.TargetTokens;
        }

        return (nats / Math.Max(1, targets), tokens, targets == 0 ? 1 : (double)targets / first);
    }
}

/// <summary>What came of a step.</summary>
/// <param name="Loss">Nats a target.</param>
/// <param name="Tokens">Tokens learned from.</param>
/// <param name="Clip">The norm of the gradient; not finite where the step was left out.</param>
/// <param name="Scale">The loss scale of the step.</param>
internal readonly record struct StepOutcome(double Loss, long Tokens, GradientClip Clip, LossScale Scale);
