using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Tessera.Evaluation.Tasks;

namespace Tessera.Cli.Terminal;

/// <summary>What people see: tables and lines, in colour where the terminal has it, plain where the output goes to a file
/// or <c>NO_COLOR</c> is set; or JSON lines for other programs.</summary>
internal sealed class Screen
{
    /// <summary>A screen.</summary>
    /// <param name="json">Whether to print JSON lines and nothing else.</param>
    public Screen(bool json)
    {
        IsJson = json;
        var plain = Console.IsOutputRedirected || !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        Terminal = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = plain ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = Console.IsOutputRedirected ? InteractionSupport.No : InteractionSupport.Detect,
        });
        // Lines in files and pipes are not cut or wrapped.
        if (Console.IsOutputRedirected) Terminal.Profile.Width = 4096;
    }

    /// <summary>Whether only JSON lines are printed.</summary>
    public bool IsJson { get; }

    /// <summary>The console behind it.</summary>
    public IAnsiConsole Terminal { get; }

    /// <summary>Whether progress can be shown in place.</summary>
    public bool IsInteractive => !IsJson && Terminal.Profile.Capabilities.Interactive && Terminal.Profile.Capabilities.Ansi;

    /// <summary>A line of text; nothing in JSON mode.</summary>
    public void Line(string text = "")
    {
        if (!IsJson) Terminal.WriteLine(text);
    }

    /// <summary>A heading.</summary>
    public void Heading(string text)
    {
        if (!IsJson) Terminal.MarkupLineInterpolated($"[bold]{text}[/]");
    }

    /// <summary>An object as one line of JSON; nothing otherwise.</summary>
    public void Json(object value)
    {
        if (IsJson) Console.Out.WriteLine(JsonSerializer.Serialize(value, JsonOutput.Options));
    }

    /// <summary>A table; columns of text to the left, of numbers to the right.</summary>
    /// <param name="columns">The headings.</param>
    /// <param name="rows">The cells.</param>
    /// <param name="textColumns">How many of the first columns hold text.</param>
    public void Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows, int textColumns = 1)
    {
        if (IsJson) return;
        var table = new Table().Border(Terminal.Profile.Capabilities.Unicode ? TableBorder.Rounded : TableBorder.Ascii);
        for (var i = 0; i < columns.Count; i++)
        {
            var column = new TableColumn(Markup.Escape(columns[i]));
            table.AddColumn(i < textColumns ? column : column.RightAligned());
        }

        foreach (var row in rows) table.AddRow([.. row.Select(Markup.Escape)]);
        Terminal.Write(table);
    }

    /// <summary>The tables of an evaluation; as JSON all of it.</summary>
    public void Evaluation(EvaluationResult result, IReadOnlyList<Metric> metrics)
    {
        if (IsJson)
        {
            Console.Out.WriteLine($$"""{"event":"evaluated",{{EvaluationStore.Line(result)[1..]}}""");
            return;
        }

        var ofTexts = result.Windows is not null;
        Table(
            ["system", .. metrics.Select(metric => metric.Title), .. ofTexts ? (string[])["tokens", "bytes"] : []],
            result.Systems.Select(system => (IReadOnlyList<string>)
            [
                system.System, .. metrics.Select(metric => metric.Show(system)),
                .. ofTexts ? (string[])[$"{system.Tokens:N0}", $"{system.Bytes:N0}"] : [],
            ]));
        if (result.Windows is { } windows)
            Line($"{windows.Count:N0} windows of {windows.Context:N0} tokens, {windows.Stride:N0} apart");
        foreach (var (metric, reason) in result.Systems[0].Absent) Line($"no {metric}: {reason}");
        if (result.Comparisons.Count == 0) return;
        Table(
            ["metric", "difference", "p (paired bootstrap)"],
            result.Comparisons
                .Select(one => (One: one, Metric: metrics.First(metric => metric.Name == one.Metric)))
                .Select(row => (IReadOnlyList<string>)
                [
                    row.Metric.Title, row.Metric.Show(row.One.Difference),
                    row.One.PValue?.ToString("0.0000", CultureInfo.InvariantCulture) ?? "–",
                ]));
    }
}
