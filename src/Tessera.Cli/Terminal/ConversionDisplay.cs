using System.Globalization;
using Spectre.Console;

namespace Tessera.Cli.Terminal;

/// <summary>Shows how far the writing of a large file has come: a bar, a line now and then where the output is no terminal, or JSON
/// lines.</summary>
/// <param name="screen">Where to.</param>
/// <param name="always">Whether to show it of small files, too.</param>
internal sealed class ConversionDisplay(Screen screen, bool always)
{
    private const long LargeBytes = 200_000_000;
    private const double LineShare = 0.1;

    private double _nextLine = LineShare;
    private ProgressTask? _bar;

    /// <summary>Does the work under the display.</summary>
    /// <param name="name">What is written.</param>
    /// <param name="work">Is given what to report the bytes written so far and in all to.</param>
    public T Run<T>(string name, Func<IProgress<(long Written, long All)>, T> work)
    {
        if (!screen.IsInteractive) return work(new AtOnce(ReportLine));
        return screen.Terminal.Progress().AutoClear(false)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(progress => work(new AtOnce(done => ReportBar(progress, name, done))));
    }

    private void ReportBar(ProgressContext progress, string name, (long Written, long All) done)
    {
        if (!always && done.All < LargeBytes) return;
        _bar ??= progress.AddTask(Markup.Escape(name), maxValue: done.All);
        _bar.Value = done.Written;
    }

    private void ReportLine((long Written, long All) done)
    {
        if (!always && done.All < LargeBytes) return;
        var share = done.Written / (double)done.All;
        if (share < _nextLine) return;
        _nextLine = share + LineShare;
        screen.Json(new { @event = "progress", written = done.Written, all = done.All });
        screen.Line(string.Create(CultureInfo.InvariantCulture, $"{share:P0} of {Amount.Bytes(done.All)}"));
    }

    /// <summary>Tells at once: .NET's own <see cref="Progress{T}"/> would tell later, on another thread.</summary>
    private sealed class AtOnce(Action<(long Written, long All)> tell) : IProgress<(long Written, long All)>
    {
        public void Report((long Written, long All) value) => tell(value);
    }
}
