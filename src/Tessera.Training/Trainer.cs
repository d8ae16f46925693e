using System.Diagnostics;
using Tessera.Nn;
using Tessera.Nn.Experts;
using Tessera.Tensors;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>
/// Trains the model of a recipe. The run's folder holds its state after every few steps; a run that is stopped anywhere,
/// even by a crash, goes on from there and reaches, where its phases are measured in steps, the same bits that it would have
/// reached undisturbed.
/// </summary>
public sealed class Trainer
{
    /// <summary>Measurements are written to the log once in so many steps.</summary>
    private const int StepsALine = 10;

    /// <summary>So many steps in a row without a finite gradient, and training has failed.</summary>
    private const int MaxSkipped = 20;

    private readonly TrainingSession _session;
    private readonly Action<TrainingEvent>? _report;
    private readonly OptimizerStep _step;
    private readonly RunProgress _progress;
    private readonly Stopwatch _clock = new();
    private double _lossSum;
    private int _lossCount;
    private int _skipped;
    private double _pace;

    private Trainer(TrainingSession session, Recipe asked, Action<TrainingEvent>? report) =>
        (_session, _report, _step, _progress) = (session, report, new OptimizerStep(session), new RunProgress(session, asked));

    private TrainingState State => _session.State;

    private Phase Phase => _session.Phase.Phase;

    /// <summary>Trains on a thread of its own; see <see cref="Run"/>.</summary>
    public static Task RunAsync(
        Recipe recipe, string folder, IProgress<TrainingEvent>? progress = null, string recipeFolder = ".", bool resume = false,
        CancellationToken cancellation = default) => Task.Run(
            () => Run(recipe, folder, happened => progress?.Report(happened), recipeFolder, resume, cancellation), CancellationToken.None);

    /// <summary>Trains a model from a recipe.</summary>
    /// <param name="recipe">What to do.</param>
    /// <param name="folder">Where the run lives; made where it is missing.</param>
    /// <param name="report">Told of each step, evaluation and checkpoint, on the calling thread. Where nobody is told, and between
    /// the lines of the log, a step allocates no managed memory.</param>
    /// <param name="recipeFolder">Where the recipe's relative paths start.</param>
    /// <param name="resume">Whether to go on with the run in the folder.</param>
    /// <param name="cancellation">Stops after the current step, with a checkpoint.</param>
    /// <exception cref="RecipeException">The recipe asks for what cannot be.</exception>
    /// <exception cref="InvalidDataException">The corpus or a checkpoint is not as it should be.</exception>
    /// <exception cref="IOException">The folder already holds a run and <paramref name="resume"/> is false, or a file cannot be
    /// written.</exception>
    /// <exception cref="OperationCanceledException">Training was stopped; a checkpoint was saved.</exception>
    public static void Run(
        Recipe recipe, string folder, Action<TrainingEvent>? report = null, string recipeFolder = ".", bool resume = false,
        CancellationToken cancellation = default)
    {
        recipe.Validate();
        var run = new RunFolder(folder);
        if (!resume && run.HasRun) throw new IOException($"'{folder}' already holds a run; resume it, or name another folder");
        using var alone = run.Hold();
        var session = TrainingSession.Open(recipe, recipeFolder, run, resume, cancellation);
        new Trainer(session, recipe, report).Train(cancellation);
    }

    private void Train(CancellationToken cancellation)
    {
        foreach (var problem in _session.PassedOver) _report?.Invoke(new CheckpointPassedOver(problem));
        _report?.Invoke(Prepared());
        if (State.Done)
        {
            // A finished run has nothing left to do, unless it was killed before its model was written.
            if (_progress.Earlier is { Status: not RunStatus.Finished }) Finish();
            return;
        }

        NoteMachine();
        _progress.Write(RunStatus.Running);
        try
        {
            Learn(cancellation);
            State.Done = true;
            Save();
            Finish();
        }
        catch (Exception error)
        {
            NoteEnd(error);
            throw;
        }
    }

    private void Learn(CancellationToken cancellation)
    {
        using var log = new StreamWriter(_session.Folder.Metrics, append: true) { AutoFlush = true };
        for (; State.Phase < _session.Recipe.Phases.Count && !State.Done; NextPhase())
        {
            while (!State.Done && PhaseProgress() < 1)
            {
                if (cancellation.IsCancellationRequested)
                {
                    Save();
                    cancellation.ThrowIfCancellationRequested();
                }

                var rate = LearningRate();
                var outcome = Step(rate);
                _report?.Invoke(Done(outcome, rate));
                var ends = PhaseProgress() >= 1 && State.Phase == _session.Recipe.Phases.Count - 1;
                if (State.Step % StepsALine == 0 || ends)
                    log.WriteLine(MetricsLog.Line(Done(outcome with { Loss = AverageLoss() }, rate)));
                if (State.Step % _session.Recipe.Validation.EverySteps == 0 || ends) Validate(log);
                if (!ends && !State.Done && IsToBeSaved) Save();
            }

            RequireLearned();
        }
    }

    /// <summary>Whether the step that was done has the best weights so far, or is one after which checkpoints are made. Weights that give
    /// no finite gradient must not push out the checkpoints that do.</summary>
    private bool IsToBeSaved =>
        State.BestStep == State.Step || (_skipped == 0 && State.Step % _session.Recipe.Checkpoints.EverySteps == 0);

    /// <summary>Writes the model of a run whose last state is saved.</summary>
    private void Finish()
    {
        var step = _session.Finish(damaged => _report?.Invoke(new CheckpointPassedOver(damaged.Message)));
        _progress.Write(RunStatus.Finished, step);
        _report?.Invoke(new Finished(State.Step, step, State.BestLoss));
    }

    /// <summary>Writes down how a run ended that did not finish; where the disk fails, that failure is not the one to tell of.</summary>
    private void NoteEnd(Exception error)
    {
        try
        {
            _progress.Write(error is OperationCanceledException ? RunStatus.Stopped : RunStatus.Failed);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
        }
    }

    private Prepared Prepared()
    {
        var (plan, data) = (_session.Plan, _session.Datasets.ToList());
        return new Prepared(
            data.Sum(one => one.Train.Count), data.Sum(one => one.Validation?.Count ?? 0), data.Sum(one => one.Train.TooLong),
            plan.Tokenizer!.VocabularySize, plan.Model.ParameterCount(), plan.Model.ActiveParameterCount(),
            plan.Parameters.Learning.Sum(own => own.Parameter.Shape.Count), State.Step, plan.LeftOut,
            [.. plan.Recipe.Phases.Select(phase => phase.Precision.Name())],
            [.. plan.Recipe.Phases.Select(phase => phase.Precision.ComputedIn().Name())]);
    }

    private void NextPhase()
    {
        if (State.Done) return;
        var before = _session.Data;
        State.Phase++;
        (State.PhaseStep, State.PhaseSeconds, State.WarmupSeconds, State.PhaseSkipped) = (0, 0, 0, 0);
        if (State.Phase == _session.Plan.Phases.Count || ReferenceEquals(before, _session.Data)) return;
        // Losses on other examples, or of another objective, cannot be compared with those before.
        (State.BestLoss, State.BestStep, State.SinceBest, State.ComparedFrom) = (null, null, 0, State.Step);
    }

    private void NoteMachine()
    {
        var here = RunMachine.Here(_session.Recipe, State.Step);
        if (here.WriteDown(_session.Folder) is { } before)
            _report?.Invoke(new MachineChanged(State.Step, before.Describe(), here.Describe()));
    }

    private double PhaseProgress() => State.Progress(Phase);

    private double LearningRate()
    {
        var schedule = Phase.Schedule;
        if (Phase.Minutes is not { } minutes) return Phase.LearningRate * schedule.Factor(State.PhaseStep, Phase.Steps!.Value);
        var byTime = (State.PhaseSeconds - State.WarmupSeconds) / Math.Max(1e-9, (60 * minutes) - State.WarmupSeconds);
        var bySteps = Phase.Steps is { } steps
            ? (double)(State.PhaseStep - schedule.WarmupSteps) / Math.Max(1, steps - schedule.WarmupSteps)
            : 0;
        return Phase.LearningRate * schedule.Factor(State.PhaseStep, Math.Clamp(Math.Max(byTime, bySteps), 0, 1));
    }

    private StepOutcome Step(double learningRate)
    {
        _clock.Restart();
        var outcome = _step.Run(learningRate);
        Count(outcome);
        RequireFinite(outcome);
        return outcome;
    }

    private StepDone Done(in StepOutcome outcome, double learningRate)
    {
        var progress = PhaseProgress();
        return new StepDone(
            State.Step, Phase.Name, outcome.Loss, learningRate, outcome.Clip.Norm, State.Tokens, _pace, Math.Min(1, progress),
            State.PhaseSeconds * Math.Max(0, 1 - progress) / Math.Max(1e-9, progress), outcome.Scale.Value, State.Skipped);
    }

    private void RequireFinite(in StepOutcome outcome)
    {
        _skipped = outcome.Clip.IsFinite ? 0 : _skipped + 1;
        if (Phase.Precision == PhasePrecision.F16)
        {
            if (State.LossScale.Value >= Phase.LossScale.Floor) return; // steps are left out while the scale finds its size
            throw new InvalidDataException(
                $"training has diverged: at step {State.Step} the loss is {outcome.Loss} and "
                + $"the loss scale has fallen to {State.LossScale.Value}, "
                + $"below phases[{State.Phase}].lossScale.floor, {Phase.LossScale.Floor}; "
                + $"try a lower phases[{State.Phase}].learningRate, or the precision bf16");
        }

        if (_skipped >= MaxSkipped)
        {
            throw new InvalidDataException(
                $"training has diverged: at step {State.Step} the loss is {outcome.Loss} and "
                + $"the last {MaxSkipped} gradients were not finite; "
                + $"try a lower phases[{State.Phase}].learningRate");
        }
    }

    /// <summary>A phase that changed no weight, or ended without a loss, has failed, however many steps it did.</summary>
    private void RequireLearned()
    {
        if (!State.LossIsFinite)
        {
            throw new InvalidDataException(
                $"training has failed: at step {State.Step}, the last of phases[{State.Phase}], the loss is not finite; "
                + $"try a lower phases[{State.Phase}].learningRate");
        }

        if (State.PhaseStep > 0 && State.PhaseSkipped == State.PhaseStep)
        {
            var remedy = Phase.Precision == PhasePrecision.F16
                    ? $"the loss scale was too large, {State.LossScale.Value} at last; "
                        + $"try a lower phases[{State.Phase}].lossScale.initial, more steps, or the precision bf16"
                    : $"try a lower phases[{State.Phase}].learningRate";
            throw new InvalidDataException(
                $"training has failed: all {State.PhaseStep} steps of phases[{State.Phase}] were left out, "
                + $"since their gradients were not finite; {remedy}");
        }
    }

    private void Count(in StepOutcome outcome)
    {
        var (loss, tokens) = (outcome.Loss, outcome.Tokens);
        var seconds = _clock.Elapsed.TotalSeconds;
        State.Step++;
        State.PhaseStep++;
        State.PhaseSeconds += seconds;
        State.Seconds += seconds;
        State.Tokens += tokens;
        if (!outcome.Clip.IsFinite) State.PhaseSkipped++;
        if (!double.IsFinite(loss) && State.LossIsFinite) _report?.Invoke(new LossNotFinite(State.Step, loss));
        State.LossIsFinite = double.IsFinite(loss);
        if (State.PhaseStep == Phase.Schedule.WarmupSteps) State.WarmupSeconds = State.PhaseSeconds;
        _pace = _pace == 0 ? tokens / seconds : (0.95 * _pace) + (0.05 * tokens / seconds);
        (_lossSum, _lossCount) = (_lossSum + loss, _lossCount + 1);
    }

    private double AverageLoss()
    {
        var average = _lossSum / _lossCount;
        (_lossSum, _lossCount) = (0, 0);
        return average;
    }

    private void Validate(StreamWriter log)
    {
        if (_session.Data is not { Validation: { } held, Objective: var objective }) return;
        using var precision = Autocast.Enter(Phase.Precision.OfOperations());
        var loss = HeldOutLoss.Measure(objective, held, _session.Recipe.Validation.Examples);
        var isBest = double.IsFinite(loss.Mean) && (State.BestLoss is null || loss.Mean < State.BestLoss);
        (State.BestLoss, State.SinceBest) = isBest ? (loss.Mean, 0) : (State.BestLoss, State.SinceBest + 1);
        if (isBest && _session.Recipe.Validation.FinishWith == FinishedWeights.Best) State.BestStep = State.Step;
        if (_session.Recipe.Validation.Patience is { } patience) State.Done = State.SinceBest >= patience;

        var use = loss.ExpertUse.ToDictionary(layer => layer.Key, layer => JainIndex.Of([.. layer.Value.Select(count => (double)count)]));
        var validated = new Validated(State.Step, loss.Mean, isBest, use);
        log.WriteLine(MetricsLog.Line(validated));
        _report?.Invoke(validated);
    }

    private void Save()
    {
        var path = _session.Save();
        _progress.Write(RunStatus.Running);
        _report?.Invoke(new Saved(State.Step, path));
    }
}
