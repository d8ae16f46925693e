using System.Globalization;
using System.Xml.Linq;
using Tessera.Evaluation.Reports;

namespace Tessera.Evaluation.Tests.Reports;

public sealed class HtmlReportTests : IDisposable
{
    private const string Nasty = "</title><script>alert('x')</script> \"&amp;\" <b>\u0001\u0000\u009B\uD83D\uDE00";
    private const string NastyAsShown = "</title><script>alert('x')</script> \"&amp;\" <b>\u2401\u2400\u2421\uD83D\uDE00";

    private readonly string _folder = Directory.CreateTempSubdirectory("report").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static ReportData Full(string text) => new(text)
        {
            Facts = [(text, text), ("BLEU-4", "34.1")],
            Tables =
            [
                new ReportTable(
                    text,
                    [text, "score"],
                    [
                        [text, "1,024"], ["b", "–"]]),
            ],
            Curves =
            [
                new LineChart(text, text, text, [new ChartSeries(text, [(0, 2), (1, double.NaN), (2, -1)]), new ChartSeries("none", [])])],
            Loads =
            [
                new ExpertLoad(
                    text,
                    [
                        [1, 2, 3], [], [0, 0, double.NaN]]),
            ],
            Samples = [new ReportSample(text, text, text, true), new ReportSample("a", null, "b", false), new ReportSample("a", "b", "c")],
        };

    private static XElement Contents(ReportData data)
    {
        var page = HtmlReport.Render(data);
        var start = page.IndexOf("<main>", StringComparison.Ordinal);
        return XElement.Parse(page[start..page.IndexOf("</body>", StringComparison.Ordinal)], LoadOptions.PreserveWhitespace);
    }

    [Fact]
    public void No_text_gets_out_of_its_place()
    {
        var main = Contents(Full(Nasty));
        Assert.Empty(main.Descendants("script"));
        Assert.Empty(main.Descendants("b"));
        var texts = main.Descendants().Where(element => !element.HasElements).Select(element => element.Value.TrimStart('\n')).ToList();
        // Fact key and value, caption, heading and cell, figure captions, sample parts.
        Assert.Equal(12, texts.Count(text => text == NastyAsShown) + texts.Count(text => text == NastyAsShown + " 1 not finite"));
        Assert.Contains(main.Descendants("svg").Attributes("aria-label"), label =>
            label.Value.Contains(NastyAsShown, StringComparison.Ordinal)
        );
        Assert.Contains("<title>&lt;/title&gt;&lt;script&gt;", HtmlReport.Render(Full(Nasty)), StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_asks_for_nothing_outside_itself()
    {
        var page = HtmlReport.Render(Full("plain"));
        foreach (
            var forbidden in new[]
            {
                "<script",
                "<link",
                "<img",
                "src=",
                "href=",
                "url(",
                "@import",
                "http:",
                "https:",
                "<iframe",
                "<object",
            })
            Assert.DoesNotContain(forbidden, page, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_picture_has_a_text_and_every_table_its_headings()
    {
        var main = Contents(Full("plain"));
        Assert.Equal(2, main.Descendants("svg").Count(svg => (string?)svg.Attribute("role") == "img"));
        Assert.All(main.Descendants("svg").Where(svg => (string?)svg.Attribute("role") == "img"),
            svg => Assert.False(string.IsNullOrWhiteSpace((string?)svg.Attribute("aria-label"))));
        var table = main.Descendants("table").Single();
        Assert.Equal("plain", table.Element("caption")!.Value);
        Assert.Equal(["col", "col", "row", "row"], table.Descendants("th").Select(th => (string?)th.Attribute("scope")));
    }

    [Fact]
    public void A_column_of_numbers_is_aligned_as_numbers()
    {
        var table = Contents(Full("plain")).Descendants("table").Single();
        Assert.Equal([null, "number"], table.Descendants("thead").Single().Descendants("th").Select(th => (string?)th.Attribute("class")));
        Assert.Equal(["number", "number"], table.Descendants("td").Select(td => (string?)td.Attribute("class")));
    }

    [Fact]
    public void What_is_empty_is_left_out()
    {
        var main = Contents(new ReportData("empty"));
        Assert.Empty(main.Elements());
    }

    [Fact]
    public void Samples_say_whether_they_parse_and_whether_they_are_the_reference()
    {
        string[] headings = [.. Contents(Full("plain")).Descendants("h3").Select(heading => heading.Value)];
        Assert.Equal(["Sample 1 ✓ valid = reference", "Sample 2 ✗ invalid", "Sample 3"], headings);
    }

    [Fact]
    public void A_row_of_another_length_than_its_table_is_refused()
    {
        var data = new ReportData("x") { Tables = [new ReportTable("speed", ["a", "b"], [["1", "2"], ["3"]])] };
        Assert.Contains("Row 1 of table 'speed' has 1 cells for 2 columns",
            Assert.Throws<ArgumentException>(() => HtmlReport.Render(data)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_is_the_same_whatever_the_culture()
    {
        var before = CultureInfo.CurrentCulture;
        var page = HtmlReport.Render(Full("plain"));
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        other.NumberFormat.NumberDecimalSeparator = ",";
        other.NumberFormat.NumberGroupSeparator = ".";
        other.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = other;
            Assert.Equal(page, HtmlReport.Render(Full("plain")));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void Writing_replaces_the_page_and_leaves_nothing_else()
    {
        var path = Path.Combine(_folder, "runs", "report.html");
        HtmlReport.Write(path, Full("first"));
        HtmlReport.Write(path, Full("second"));
        Assert.Equal(HtmlReport.Render(Full("second")), File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void A_page_that_cannot_be_written_leaves_no_draft()
    {
        var path = Path.Combine(_folder, "report.html");
        Directory.CreateDirectory(Path.Combine(path, "inside"));
        Assert.ThrowsAny<SystemException>(() => HtmlReport.Write(path, Full("x")));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder));
    }
}
