using System.Globalization;
using System.Text;
using Tessera.Evaluation.Metrics;
using Tessera.Nn.Experts;

namespace Tessera.Evaluation.Reports;

/// <summary>
/// Draws an <see cref="ExpertLoad"/> as a map: a row a layer, a cell an expert, the darker the more it was used, and Jain's
/// index at the end of each row. Half dark is the even share, so that a layer in balance is a row of one tone.
/// </summary>
internal static class ExpertLoadSvg
{
    // With more experts than this a cell is too narrow for its number.
    private const int MaxNumbered = 12;

    // With more layers than this rows are half as high, too low for numbers.
    private const int MaxTall = 24;

    /// <summary>The map as HTML: a figure with caption, legend and cells.</summary>
    public static string Draw(ExpertLoad load)
    {
        var html = new StringBuilder($"<figure>\n<figcaption>{Markup.Encode(load.Title)}</figcaption>\n");
        var experts = load.Layers.Select(layer => layer.Count).DefaultIfEmpty().Max();
        if (experts == 0) return html.Append("<p class=\"empty\">No values.</p>\n</figure>\n").ToString();

        var height = load.Layers.Count <= MaxTall ? 28 : 14;
        var numbered = experts <= MaxNumbered && load.Layers.Count <= MaxTall;
        Legend(html, numbered);
        html.Append("<p class=\"axis\" aria-hidden=\"true\"><span>layer</span><span>Jain’s index</span></p>\n");
        html.Append($"<svg class=\"map\" height=\"{load.Layers.Count * height}\" role=\"img\" ");
        html.Append($"aria-label=\"{Markup.Encode(Description(load))}\">\n");
        foreach (var (layer, loads) in load.Layers.Index())
        {
            var top = layer * height;
            html.Append($"<text class=\"up\" x=\"-8\" y=\"{top + height / 2}\">{layer + 1}</text>");
            for (var expert = 0; expert < loads.Count; expert++)
                Cell(html, loads, layer, expert, new Box((double)expert / experts, 1.0 / experts, top, height), numbered);
            html.Append($"<text class=\"end\" x=\"100%\" y=\"{top + height / 2}\">{Jain(loads)}</text>\n");
        }

        foreach (var (i, expert) in Labelled(experts).Index())
            LineChartSvg.AcrossLabel(html, i, (expert + 0.5) / experts, $"{expert + 1}");
        html.Append("</svg>\n<p class=\"axis below\" aria-hidden=\"true\">expert</p>\n</figure>\n");
        return html.ToString();
    }

    private static void Legend(StringBuilder html, bool numbered)
    {
        html.Append("<ul class=\"legend\"><li>unused <svg class=\"key\" aria-hidden=\"true\">");
        for (var i = 0; i < 5; i++)
        {
            html.Append($"<rect class=\"cell\" x=\"{Markup.Percent(i / 5.0)}\" width=\"20%\" height=\"100%\" ");
            html.Append($"fill-opacity=\"{Opacity(i / 2.0)}\"/>");
        }

        html.Append("</svg> twice the even share, or more</li>");
        if (numbered) html.Append("<li>numbers: % of the layer</li>");
        html.Append("</ul>\n");
    }

    private static void Cell(StringBuilder html, IReadOnlyList<double> loads, int layer, int expert, Box box, bool numbered)
    {
        var total = loads.Where(IsLoad).Sum();
        var share = IsLoad(loads[expert]) && total > 0 ? loads[expert] / total : 0;
        var ofEven = share * loads.Count;
        html.Append($"<g><rect class=\"cell\" x=\"{Markup.Percent(box.Left)}\" y=\"{box.Top + 1}\" ");
        html.Append($"width=\"{Markup.Percent(box.Width)}\" height=\"{box.Height - 2}\" fill-opacity=\"{Opacity(ofEven)}\"/>");
        if (numbered)
        {
            var tone = ofEven > 1.5 ? "on dark" : "on";
            var number = IsLoad(loads[expert]) ? (100 * share).ToString("F0", CultureInfo.InvariantCulture) : "–";
            var middle = Markup.Percent(box.Left + box.Width / 2);
            html.Append($"<text class=\"{tone}\" x=\"{middle}\" y=\"{box.Top + box.Height / 2}\">{number}</text>");
        }

        html.Append($"<title>layer {layer + 1}, expert {expert + 1}: ");
        html.Append(CultureInfo.InvariantCulture, $"{100 * share:0.##} %, {ofEven:0.##} times the even share</title></g>");
    }

    private static bool IsLoad(double value) => double.IsFinite(value) && value >= 0;

    private static string Jain(IReadOnlyList<double> loads) =>
        loads.Count > 0 && loads.All(IsLoad) ? JainIndex.Of(loads).ToString("F2", CultureInfo.InvariantCulture) : "–";

    private static string Opacity(double ofEven) =>
        (0.06 + 0.94 * Math.Min(ofEven / 2, 1)).ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>The experts whose number is written: all, or round steps that leave about ten.</summary>
    private static IEnumerable<int> Labelled(int experts) => experts <= MaxNumbered
        ? Enumerable.Range(0, experts)
        : NiceScale.Within(1, experts, 8).Ticks.Select(tick => (int)tick - 1);

    private static string Description(ExpertLoad load)
    {
        var layers = load.Layers.Select((loads, layer) => $"{layer + 1}: {Jain(loads)}");
        return $"{load.Title}. Jain’s index by layer: {string.Join(", ", layers)}.";
    }

    /// <summary>Where a cell stands: across as shares of the map, down in pixels.</summary>
    private readonly record struct Box(double Left, double Width, int Top, int Height);
}
