using System.Diagnostics;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>Keeps the record of a run up to date while it trains.</summary>
internal sealed class RunProgress
{
    private readonly TrainingSession _session;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly IReadOnlyList<RunStretch> _before;
    private readonly IReadOnlyList<int> _auto;
    private readonly RunStretch _stretch;
    private readonly (int Examples, int Validation, int TooLong) _data;

    /// <summary>Begins a stretch.</summary>
    /// <param name="session">The run.</param>
    /// <param name="asked">The recipe as it was given, before the machine decided what it leaves open.</param>
    public RunProgress(TrainingSession session, Recipe asked)
    {
        var earlier = RunRecord.Read(session.Folder);
        var (step, data) = (session.State.Step, session.Datasets.ToList());
        (_session, Earlier, _stretch) = (session, earlier, RunStretch.Here(step));
        _before = [.. (earlier?.Stretches ?? []).Where(stretch => stretch.FromStep < step)
            .Select(stretch => stretch with { ToStep = Math.Min(stretch.ToStep, step) })];
        _auto = earlier?.AutoPrecision ?? [.. asked.Phases.Index().Where(IsAuto).Select(phase => phase.Index)];
        _data = (
            data.Sum(one => one.Train.Count), data.Sum(one => one.Validation?.Count ?? 0), data.Sum(one => one.Train.TooLong));

        static bool IsAuto((int Index, Phase Phase) phase) => phase.Phase.Precision == PhasePrecision.Auto;
    }

    /// <summary>What was written down before this stretch; null where nothing was.</summary>
    public RunRecord? Earlier { get; }

    /// <summary>Writes down how the run stands.</summary>
    /// <param name="status">How it stands.</param>
    /// <param name="modelStep">The step whose weights the finished model has.</param>
    public void Write(RunStatus status, long? modelStep = null)
    {
        var (recipe, state) = (_session.Recipe, _session.State);
        new RunRecord
        {
            Name = recipe.Name,
            Seed = recipe.Seed,
            Status = status,
            Steps = state.Step,
            Tokens = state.Tokens,
            TrainingSeconds = state.Seconds,
            ModelStep = modelStep,
            BestLoss = state.BestLoss,
            Examples = _data.Examples,
            ValidationExamples = _data.Validation,
            TooLong = _data.TooLong,
            AutoPrecision = _auto,
            Stretches = [.. _before, _stretch with { ToStep = state.Step, Seconds = _clock.Elapsed.TotalSeconds }],
        }.Write(_session.Folder);
    }
}
