using System.Globalization;
using System.Text;

namespace Tessera.Evaluation.Reports;

/// <summary>
/// Draws a <see cref="LineChart"/>. All places are shares of the plot, so that it fills any width while its letters, strokes
/// and marks keep their size; the style sheet leaves a margin for the labels that stand outside.
/// </summary>
internal static class LineChartSvg
{
    private const int Colours = 6;

    // A curve is thinned to what a plot of this many columns can show.
    private const int Columns = 500;

    // Points that scatter are shown by so many means, if there are more points than that.
    private const int Means = 120;

    // More points than this get no marks, and share this many places to point at.
    private const int Marks = 40;

    /// <summary>The chart as HTML: a figure with caption, legend and plot.</summary>
    public static string Draw(LineChart chart)
    {
        var html = new StringBuilder($"<figure>\n<figcaption>{Markup.Encode(chart.Title)}</figcaption>\n");
        List<(double X, double Y)> shown = [.. chart.Series.SelectMany(series => series.Points).Where(IsShown)];
        if (shown.Count == 0) return html.Append("<p class=\"empty\">No values.</p>\n</figure>\n").ToString();

        var across = NiceScale.Within(shown.Min(point => point.X), shown.Max(point => point.X), 6);
        var up = NiceScale.Around(shown.Min(point => point.Y), shown.Max(point => point.Y), 5);
        if (chart.Series.Count > 1 || Note(chart.Series[0]).Length > 0) Legend(html, chart.Series);
        html.Append($"<p class=\"axis\" aria-hidden=\"true\">{Markup.Encode(chart.Up)}</p>\n");
        html.Append($"<svg class=\"plot\" role=\"img\" aria-label=\"{Markup.Encode(Description(chart))}\">\n");
        foreach (var tick in up.Ticks)
        {
            var y = Markup.Percent(1 - up.Place(tick));
            html.Append($"<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
            html.Append($"<text class=\"up\" x=\"-8\" y=\"{y}\">{up.Label(tick)}</text>\n");
        }

        foreach (var (i, tick) in across.Ticks.Index())
            AcrossLabel(html, i, across.Place(tick), across.Label(tick));

        html.Append("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">\n");
        for (var i = 0; i < chart.Series.Count; i++) Curve(html, chart.Series[i], Colour(i), across, up);
        html.Append("</svg>\n");
        for (var i = 0; i < chart.Series.Count; i++) Points(html, chart, chart.Series[i], Colour(i), across, up);
        html.Append($"</svg>\n<p class=\"axis below\" aria-hidden=\"true\">{Markup.Encode(chart.Across)}</p>\n</figure>\n");
        return html.ToString();
    }

    /// <summary>Writes a label under the plot; every second one is left out in a narrow window.</summary>
    public static void AcrossLabel(StringBuilder html, int number, double place, string label)
    {
        var kind = number % 2 == 0 ? "across" : "across spare";
        html.Append($"<text class=\"{kind}\" x=\"{Markup.Percent(place)}\" y=\"100%\">{label}</text>\n");
    }

    private static bool IsShown((double X, double Y) point) => NiceScale.Shows(point.X) && NiceScale.Shows(point.Y);

    /// <summary>How many points a mean is taken of; 1 where points are shown as they are.</summary>
    private static int MeanOf(ChartSeries series) => series.Scatters ? Math.Max(1, series.Points.Count / Means) : 1;

    private static string Colour(int series) => $"c{series % Colours + 1}";

    private static void Legend(StringBuilder html, IReadOnlyList<ChartSeries> all)
    {
        html.Append("<ul class=\"legend\">\n");
        for (var i = 0; i < all.Count; i++)
        {
            html.Append("<li><svg class=\"key\" aria-hidden=\"true\">");
            html.Append($"<line class=\"{Colour(i)}\" x1=\"1\" x2=\"27\" y1=\"50%\" y2=\"50%\"/></svg>");
            html.Append($"{Markup.Encode(all[i].Name)}{Note(all[i])}</li>\n");
        }

        html.Append("</ul>\n");
    }

    /// <summary>What a reader must know of how a curve is drawn.</summary>
    private static string Note(ChartSeries series)
    {
        var missing = series.Points.Count(point => !IsShown(point));
        return (MeanOf(series) > 1 ? $", mean of {MeanOf(series)}" : "")
            + (missing > 0 ? $" <em>{missing} not finite</em>" : "");
    }

    /// <summary>What the chart says, for those who do not see it: where each curve starts, ends and is lowest.</summary>
    private static string Description(LineChart chart)
    {
        var text = new StringBuilder($"{chart.Title}: {chart.Up} against {chart.Across}.");
        foreach (var series in chart.Series)
        {
            List<(double X, double Y)> points = [.. series.Points.Where(IsShown)];
            if (points.Count == 0)
            {
                text.Append(CultureInfo.InvariantCulture, $" {series.Name}: no values.");
                continue;
            }

            var (first, last, lowest) = (points[0], points[^1], points.MinBy(point => point.Y));
            text.Append(CultureInfo.InvariantCulture, $" {series.Name}: from {Markup.Number(first.Y)} at {Markup.Number(first.X)}");
            text.Append(CultureInfo.InvariantCulture, $" to {Markup.Number(last.Y)} at {Markup.Number(last.X)},");
            text.Append(CultureInfo.InvariantCulture, $" lowest {Markup.Number(lowest.Y)} at {Markup.Number(lowest.X)}.");
        }

        return text.ToString();
    }

    private static void Curve(StringBuilder html, ChartSeries series, string colour, NiceScale across, NiceScale up)
    {
        var (all, means) = (new StringBuilder(), new StringBuilder());
        foreach (var run in Runs(series.Points))
        {
            var places = run.ConvertAll(point => (X: 1000 * across.Place(point.X), Y: 1000 * (1 - up.Place(point.Y))));
            Line(all, Thinned(places));
            if (MeanOf(series) > 1) Line(means, Averaged(places, MeanOf(series)));
        }

        html.Append($"<path class=\"{colour}{(means.Length > 0 ? " faint" : "")}\" d=\"{all}\"/>\n");
        if (means.Length > 0) html.Append($"<path class=\"{colour}\" d=\"{means}\"/>\n");
    }

    private static void Line(StringBuilder path, List<(double X, double Y)> places)
    {
        for (var i = 0; i < places.Count; i++)
            path.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? 'M' : 'L')}{places[i].X:0.#} {places[i].Y:0.#}");
        // A single point is drawn as the round end of a line without length.
        if (places.Count == 1) path.Append("h0");
    }

    /// <summary>The stretches of points between those that cannot be shown.</summary>
    private static IEnumerable<List<(double X, double Y)>> Runs(IReadOnlyList<(double X, double Y)> points)
    {
        List<(double X, double Y)> run = [];
        foreach (var point in points)
        {
            if (IsShown(point))
            {
                run.Add(point);
                continue;
            }

            if (run.Count > 0) yield return run;
            run = [];
        }

        if (run.Count > 0) yield return run;
    }

    /// <summary>Of the points that fall into one column the first, lowest, highest and last: the same picture.</summary>
    private static List<(double X, double Y)> Thinned(List<(double X, double Y)> places) =>
        [.. places.Index().GroupBy(place => (int)(place.Item.X * Columns / 1000)).SelectMany(column =>
        {
            var all = column.ToList();
            return new[] { all[0], all.MinBy(place => place.Item.Y), all.MaxBy(place => place.Item.Y), all[^1] }
                .DistinctBy(place => place.Index).OrderBy(place => place.Index);
        }).Select(place => place.Item)];

    /// <summary>The means of every so many points in a row.</summary>
    private static List<(double X, double Y)> Averaged(List<(double X, double Y)> places, int every) =>
        [.. places.Chunk(every).Select(chunk => (chunk.Average(place => place.X), chunk.Average(place => place.Y)))];

    /// <summary>The marks of a short curve, or the places of a long one, that tell their value when pointed at.</summary>
    private static void Points(
        StringBuilder html, LineChart chart, ChartSeries series, string colour, NiceScale across, NiceScale up)
    {
        List<(double X, double Y)> points = [.. series.Points.Where(IsShown)];
        var few = points.Count <= Marks;
        var (kind, radius) = few ? ("mark", 4) : ("place", 9);
        for (var i = 0; i < Math.Min(points.Count, Marks); i++)
        {
            var (x, y) = few ? points[i] : points[(int)((points.Count - 1L) * i / (Marks - 1))];
            var place = $"cx=\"{Markup.Percent(across.Place(x))}\" cy=\"{Markup.Percent(1 - up.Place(y))}\"";
            var title = Markup.Encode($"{series.Name}\n{chart.Across} {Markup.Number(x)}: {Markup.Number(y)}");
            html.Append($"<circle class=\"{kind} {colour}\" {place} r=\"{radius}\"><title>{title}</title></circle>\n");
        }
    }
}
