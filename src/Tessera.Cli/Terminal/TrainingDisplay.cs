using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.Training;
using Tessera.Training.Precision;

namespace Tessera.Cli.Terminal;

/// <summary>Shows training as it goes: a bar with loss, speed and time left; a line now and then where the output is no
/// terminal; JSON lines where those are wanted.</summary>
internal sealed class TrainingDisplay(Screen screen)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly Stopwatch _sinceLine = Stopwatch.StartNew();
    private ProgressTask? _bar;

    /// <summary>Runs training under the display.</summary>
    /// <param name="train">Trains, reporting what happens.</param>
    public void Run(Action<Action<TrainingEvent>> train)
    {
        if (!screen.IsInteractive)
        {
            train(ReportLine);
            return;
        }

        screen.Terminal.Progress()
            .AutoClear(false)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn())
            .Start(progress => train(happened => ReportBar(progress, happened)));
    }

    private void ReportBar(ProgressContext progress, TrainingEvent happened)
    {
        switch (happened)
        {
            case StepDone done:
                _bar ??= progress.AddTask("training", maxValue: 1);
                _bar.Description = Markup.Escape(Describe(done));
                _bar.Value = done.Progress;
                break;
            case Saved saved:
                screen.Terminal.MarkupLineInterpolated($"[grey]saved {saved.Path}[/]");
                break;
            case Finished finished:
                screen.Line(Describe(finished));
                break;
            case Validated validated:
                screen.Terminal.MarkupLineInterpolated($"[grey]{Describe(validated)}[/]");
                break;
            case Prepared prepared:
                screen.Line(Describe(prepared));
                break;
            case CheckpointPassedOver or MachineChanged or LossNotFinite:
                screen.Line(Warning(happened));
                break;
        }
    }

    private void ReportLine(TrainingEvent happened)
    {
        if (screen.IsJson)
        {
            Console.Out.WriteLine(MetricsLog.Line(happened));
            return;
        }

        switch (happened)
        {
            case Prepared prepared:
                screen.Line(Describe(prepared));
                break;
            case CheckpointPassedOver or MachineChanged or LossNotFinite:
                screen.Line(Warning(happened));
                break;
            case StepDone done when _sinceLine.Elapsed > s_pause || done.Step == 1:
                screen.Line(Describe(done));
                _sinceLine.Restart();
                break;
            case Validated validated:
                screen.Line(Describe(validated));
                break;
            case Saved saved:
                screen.Line($"saved {saved.Path}");
                break;
            case Finished finished:
                screen.Line(Describe(finished));
                break;
        }
    }

    private static string Describe(Prepared prepared)
    {
        var learning =
            prepared.Learning == prepared.Parameters
                ? ""
                : string.Create(CultureInfo.InvariantCulture, $", {prepared.Learning:N0} that learn");
        List<FormattableString> facts =
        [
            $"{prepared.Examples:N0} examples to learn from, {prepared.ValidationExamples:N0} to validate on",
            $"{prepared.Vocabulary:N0} tokens",
            $"{prepared.Parameters:N0} parameters, {prepared.ActiveParameters:N0} active{learning}",
            $"products in {PhasePrecisions.Describe(prepared.Precision, prepared.ComputedIn)}",
        ];
        if (prepared.ValidationExamples == 0) facts.Add($"nothing to validate on: data.validationFraction keeps a part aside");
        if (prepared.LeftOut.Count > 0) facts.Add($"left out of the corpus: {LeftOut(prepared.LeftOut)}");
        if (prepared.TooLong > 0) facts.Add($"{prepared.TooLong:N0} examples left out as too long");
        if (prepared.Step > 0) facts.Add($"resumed at step {prepared.Step:N0}");
        return string.Join("; ", facts.Select(FormattableString.Invariant));
    }

    /// <summary>The reasons that counted most, each with its number.</summary>
    private static string LeftOut(IReadOnlyDictionary<string, int> reasons)
    {
        const int Told = 3;
        var told = reasons.OrderByDescending(reason => reason.Value).Take(Told).Select(reason => $"{Amount.Of(reason.Value)} {reason.Key}");
        return string.Join(", ", told) + (reasons.Count > Told ? ", and others" : "");
    }

    private static string Warning(TrainingEvent happened) => happened switch
        {
            CheckpointPassedOver passed => $"warning: a damaged checkpoint was passed over: {passed.Problem}",
            MachineChanged changed =>
                $"warning: until step {changed.Step} this run was computed with {changed.Before}; it goes on with {changed.Now}, "
                + "and will not reach the bits of an undisturbed run",
            LossNotFinite lost => $"warning: the loss of step {lost.Step} is {lost.Loss}; steps without a finite gradient change no weight",
            _ => "",
        };

    private static string Describe(StepDone done) => string.Create(
        CultureInfo.InvariantCulture,
        $"{done.Phase}: step {done.Step:N0}  loss {done.Loss:F3}  {done.TokensPerSecond:N0} tokens/s  "
        + $"{Left(done.SecondsLeft)} left{Scale(done)}");

    private static string Describe(Validated validated) => string.Create(
        CultureInfo.InvariantCulture,
        $"step {validated.Step:N0}: validation loss {validated.Loss:F3}, perplexity {Math.Exp(validated.Loss):F2}"
        + $"{(validated.IsBest ? ", the best so far" : "")}");

    private static string Describe(Finished finished) => string.Create(
        CultureInfo.InvariantCulture,
        $"finished after step {finished.Step:N0}; the model has the weights of step {finished.ModelStep:N0}"
        + $"{(finished.Loss is { } loss ? $", lowest validation loss {loss:F3}" : "")}");

    private static string Scale(StepDone done) => done.LossScale == 1 && done.Skipped == 0
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $"  loss scale {done.LossScale:G4}, {done.Skipped:N0} steps left out");

    private static string Left(double seconds) => double.IsFinite(seconds) && seconds < 1e7
        ? TimeSpan.FromSeconds(seconds).ToString(seconds < 3600 ? @"m\:ss" : @"d\.hh\:mm\:ss", CultureInfo.InvariantCulture)
        : "?";
}
