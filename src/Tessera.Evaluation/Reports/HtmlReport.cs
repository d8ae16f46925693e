using System.Globalization;
using System.Text;
using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Reports;

/// <summary>
/// Writes a <see cref="ReportData"/> as one HTML file that needs nothing beside it: no script, no font, no image, no network.
/// It follows the reader's light or dark preference and any width of window, and can be printed.
/// </summary>
public static class HtmlReport
{
    /// <summary>
    /// Writes the page. It is written under another name in the same folder first and then renamed, so that a reader finds the
    /// old page or the new one, never a part.
    /// </summary>
    /// <param name="path">Where the page shall be; a page that is there is replaced, a folder that is not there is made.</param>
    /// <param name="data">What it shows.</param>
    /// <exception cref="ArgumentException">A table has a row with more or fewer cells than columns.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, ReportData data)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var page = Render(data);
        var target = Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(target) ?? throw new ArgumentException($"'{path}' names no file.", nameof(path));
        Directory.CreateDirectory(folder);
        var draft = $"{target}.{Guid.NewGuid():N}.part";
        try
        {
            File.WriteAllText(draft, page);
            File.Move(draft, target, overwrite: true);
        }
        finally
        {
            File.Delete(draft);
        }
    }

    /// <summary>The page as text.</summary>
    /// <inheritdoc cref="Write" path="/exception[@cref='ArgumentException']"/>
    public static string Render(ReportData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        var title = Markup.Encode(data.Title);
        var html = new StringBuilder($"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <meta name="color-scheme" content="light dark">
            <title>{title}</title>
            <style>
            {ReportStyle.Sheet}</style>
            </head>
            <body>
            <header><h1>{title}</h1></header>
            <main>

            """);
        Facts(html, data.Facts);
        Section(html, "Results", data.Tables, table => Table(html, table));
        Section(html, "Training", data.Curves, chart => html.Append(LineChartSvg.Draw(chart)));
        Section(html, "Use of experts", data.Loads, load => html.Append(ExpertLoadSvg.Draw(load)));
        Section(html, "Samples", data.Samples.Index(), sample => Sample(html, sample.Index + 1, sample.Item));
        foreach (var (heading, text) in data.Documents) Document(html, heading, text);
        return html.Append("</main>\n</body>\n</html>\n").ToString();
    }

    private static void Section<T>(StringBuilder html, string heading, IEnumerable<T> parts, Action<T> write)
    {
        if (!parts.Any()) return;
        html.Append($"<section>\n<h2>{heading}</h2>\n");
        foreach (var part in parts) write(part);
        html.Append("</section>\n");
    }

    private static void Document(StringBuilder html, string title, string text) => html.Append(
        $"<section>\n<details>\n<summary>{Markup.Encode(title)}</summary>\n<pre>\n{Markup.Encode(text)}</pre>\n</details>\n</section>\n");

    private static void Facts(StringBuilder html, IReadOnlyList<(string Key, string Value)> facts)
    {
        if (facts.Count == 0) return;
        html.Append("<dl class=\"facts\">\n");
        foreach (var (key, value) in facts)
        {
            var width = value.Length > 16 ? " class=\"long\"" : "";
            html.Append($"<div{width}><dt>{Markup.Encode(key)}</dt><dd>{Markup.Encode(value)}</dd></div>\n");
        }

        html.Append("</dl>\n");
    }

    private static void Table(StringBuilder html, ReportTable table)
    {
        for (var row = 0; row < table.Rows.Count; row++)
        {
            if (table.Rows[row].Count != table.Columns.Count)
            {
                throw new ArgumentException(
                    $"Row {row} of table '{table.Title}' has {table.Rows[row].Count} cells for {table.Columns.Count} columns.");
            }
        }

        string[] classes = [.. Enumerable.Range(0, table.Columns.Count).Select(
            column => table.Rows.All(row => IsNumber(row[column])) ? " class=\"number\"" : "")];
        var title = Markup.Encode(table.Title);
        // A table wider than the window scrolls by itself; a reader without a pointer reaches it with the tab key.
        html.Append($"<div class=\"scroll\" role=\"region\" aria-label=\"{title}\" tabindex=\"0\">\n");
        html.Append($"<table>\n<caption>{title}</caption>\n<thead><tr>");
        for (var column = 0; column < table.Columns.Count; column++)
            html.Append($"<th scope=\"col\"{classes[column]}>{Markup.Encode(table.Columns[column])}</th>");
        html.Append("</tr></thead>\n<tbody>\n");
        foreach (var row in table.Rows)
        {
            html.Append("<tr>");
            for (var column = 0; column < row.Count; column++)
            {
                var kind = column == 0 ? "th scope=\"row\"" : "td";
                html.Append($"<{kind}{classes[column]}>{Markup.Encode(row[column])}</{kind[..2]}>");
            }

            html.Append("</tr>\n");
        }

        html.Append("</tbody>\n</table>\n</div>\n");
    }

    /// <summary>Whether a cell is a number, perhaps with a unit sign, or the dash that stands for none.</summary>
    private static bool IsNumber(string cell)
    {
        const NumberStyles styles = NumberStyles.Float | NumberStyles.AllowThousands;
        var bare = cell.Trim().TrimEnd('%', '×', 'x', 'k', 'M', 'G', ' ');
        return cell.Trim() is "" or "–" or "-" || double.TryParse(bare, styles, CultureInfo.InvariantCulture, out _);
    }

    private static void Sample(StringBuilder html, int number, ReportSample sample)
    {
        html.Append($"<article>\n<h3>Sample {number}");
        if (sample.Valid == true) html.Append(" <span class=\"good\">✓ valid</span>");
        if (sample.Valid == false) html.Append(" <span class=\"bad\">✗ invalid</span>");
        if (sample.Reference is not null && ExactMatch.IsMatch(sample.Output, sample.Reference))
            html.Append(" <span class=\"good\">= reference</span>");
        html.Append("</h3>\n<dl>\n");
        Part("Source", sample.Source);
        if (sample.Reference is not null) Part("Reference", sample.Reference);
        Part("Output", sample.Output);
        html.Append("</dl>\n</article>\n");

        // HTML drops a newline that follows <pre>, so one is put there for it to drop.
        void Part(string name, string text) => html.Append($"<dt>{name}</dt><dd><pre>\n{Markup.Encode(text)}</pre></dd>\n");
    }
}
