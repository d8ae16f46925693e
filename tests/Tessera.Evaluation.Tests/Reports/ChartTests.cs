using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Evaluation.Reports;

namespace Tessera.Evaluation.Tests.Reports;

public sealed partial class ChartTests
{
    private static XElement Draw(params ChartSeries[] series) =>
        XElement.Parse(LineChartSvg.Draw(new LineChart("loss", "step", "nats", series)));

    private static string[] Paths(XElement figure) =>
        [.. figure.Descendants("path").Select(path => (string)path.Attribute("d")!)];

    private static double[] Heights(string path) =>
        [.. Point().Matches(path).Select(match => double.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture))];

    [Fact]
    public void Points_stand_where_the_axes_say()
    {
        var figure = Draw(new ChartSeries("a", [(0, 0), (5, 10), (10, 4)]));
        var marks = figure.Descendants("circle").ToList();
        Assert.Equal(["0%", "50%", "100%"], marks.Select(mark => (string)mark.Attribute("cx")!));
        Assert.Equal(["100%", "0%", "60%"], marks.Select(mark => (string)mark.Attribute("cy")!));
        Assert.Equal("a\nstep 5: 10", marks[1].Element("title")!.Value);
        Assert.Equal(["M0 1000L500 0L1000 600"], Paths(figure));
        Assert.Equal(
            ["0", "2", "4", "6", "8", "10"],
            figure.Descendants("text").Where(text => (string?)text.Attribute("class") == "up").Select(text => text.Value));
    }

    [Fact]
    public void Points_that_are_not_finite_leave_gaps_and_are_counted()
    {
        var figure = Draw(
            new ChartSeries("a", [(0, 1), (1, 2), (2, double.NaN), (3, double.PositiveInfinity), (4, 2), (5, double.NaN), (6, 1), (7, 2)]));
        Assert.Equal(3, Paths(figure)[0].Count(letter => letter == 'M'));
        Assert.Contains("h0", Paths(figure)[0], StringComparison.Ordinal); // The point alone between two gaps.
        Assert.Contains("3 not finite", figure.Value, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", figure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_values_the_chart_says_so()
    {
        foreach (
            var figure in new[] { Draw(), Draw(new ChartSeries("a", [])), Draw(new ChartSeries("a", [(double.NaN, 1), (1, double.NaN)])) })
            Assert.Equal("lossNo values.", figure.Value.Replace("\n", "", StringComparison.Ordinal));
    }

    [Fact]
    public void A_long_curve_is_thinned_and_keeps_its_spikes()
    {
        var points = Enumerable.Range(0, 100_000).Select(i => ((double)i, i == 54_321 ? 100 : Math.Sin(i / 500.0))).ToList();
        var path = Paths(Draw(new ChartSeries("a", points))).Single();
        Assert.Contains(0, Heights(path));
        Assert.InRange(Heights(path).Length, 500, 2_004);
    }

    [Fact]
    public void Points_that_scatter_are_shown_by_their_means()
    {
        var points = Enumerable.Range(0, 12_000).Select(i => ((double)i, i % 2 == 0 ? 1.0 : 3.0)).ToList();
        var figure = Draw(new ChartSeries("a", points, Scatters: true), new ChartSeries("b", [(0, 0), (12_000, 4)]));
        var means = Heights(Paths(figure)[1]);
        Assert.Equal(120, means.Length);
        Assert.All(means, mean => Assert.Equal(500, mean));
        Assert.Contains("a, mean of 100", figure.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_map_of_experts_shows_shares_and_Jains_index()
    {
        var figure = XElement.Parse(ExpertLoadSvg.Draw(new ExpertLoad("use", [[30, 10], [5, 5], [0, 0], [1, double.NaN]])));
        string[] Texts(string kind) =>
            [
                .. figure
                    .Descendants("text")
                    .Where(text => ((string)text.Attribute("class")!).StartsWith(kind, StringComparison.Ordinal))
                    .Select(text => text.Value),
            ];
        Assert.Equal(["75", "25", "50", "50", "0", "0", "100", "–"], Texts("on"));
        Assert.Equal(["0.80", "1.00", "1.00", "–"], Texts("end"));
        Assert.Equal("layer 1, expert 1: 75 %, 1.5 times the even share", figure.Descendants("title").First().Value);
        Assert.Contains("No values.", ExpertLoadSvg.Draw(new ExpertLoad("use", [])), StringComparison.Ordinal);
        Assert.Contains("No values.", ExpertLoadSvg.Draw(new ExpertLoad("use", [[], []])), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 10, "0 2 4 6 8 10")]
    [InlineData(1.93, 10.2, "0 2 4 6 8 10 12")]
    [InlineData(0, 0.001, "0 0.0002 0.0004 0.0006 0.0008 0.0010")]
    [InlineData(0, 3e-5, "0 5e-6 1e-5 1.5e-5 2e-5 2.5e-5 3e-5")]
    [InlineData(-0.3, 0.4, "-0.3 -0.2 -0.1 0 0.1 0.2 0.3 0.4")]
    [InlineData(12_000, 52_000, "10k 20k 30k 40k 50k 60k")]
    [InlineData(1.2e9, 1.9e9, "1.2G 1.3G 1.4G 1.5G 1.6G 1.7G 1.8G 1.9G")]
    [InlineData(4, 4, "2 3 4 5 6")]
    [InlineData(0, 0, "-1.0 -0.5 0 0.5 1.0")]
    public void Axes_are_marked_at_round_numbers(double lowest, double highest, string labels)
    {
        var scale = NiceScale.Around(lowest, highest, 5);
        Assert.Equal(labels, string.Join(' ', scale.Ticks.Select(scale.Label)));
    }

    [Fact]
    public void Whatever_the_values_marks_are_few_rise_and_read_differently()
    {
        var value = ArbMap.Default.GeneratorFor<double>().Where(NiceScale.Shows);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2_000), Prop.ForAll(Arb.From(Gen.Zip(value, value)), ends =>
        {
            var (lowest, highest) = (Math.Min(ends.Item1, ends.Item2), Math.Max(ends.Item1, ends.Item2));
            var around = NiceScale.Around(lowest, highest, 5);
            var within = NiceScale.Within(lowest, highest, 5);
            return around.Ticks.Length is >= 2 and <= 12
                && around.Place(lowest) is >= -1e-6 and <= 1 && around.Place(highest) is >= 0 and <= 1 + 1e-6
                && within.Ticks.Length is >= 1 and <= 12
                && within.Ticks.All(tick => within.Place(tick) is >= -1e-6 and <= 1 + 1e-6)
                && new[] { around, within }.All(scale => scale.Ticks.Zip(scale.Ticks.Skip(1)).All(pair => pair.First < pair.Second)
                    && scale.Ticks.Select(scale.Label).Distinct().Count() == scale.Ticks.Length);
        }));
    }

    [GeneratedRegex(@"[ML](-?[\d.]+) (-?[\d.]+)")]
    private static partial Regex Point();
}
