using Tessera.CSharp.Corpora;
using Tessera.Text.Tests.Corpora;

namespace Tessera.CSharp.Tests.Corpora;

public sealed class DocumentationSummariesTests : IDisposable
{
    private static readonly Dictionary<string, string> _typeNames = new()
    {
        ["T:System.Int32"] = "int",
        ["T:System.String"] = "string",
        ["T:System.Collections.Generic.Dictionary`2"] = "Dictionary<TKey, TValue>",
        ["T:System.Collections.Generic.Dictionary`2.Enumerator"] = "Dictionary<TKey, TValue>.Enumerator",
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string? Summary(string summary) =>
        Read($"<doc><members><member name=\"T:X\"><remarks>no</remarks>{summary}</member></members></doc>")["T:X"];

    private DocumentationSummaries Read(string xml)
    {
        var summaries = new DocumentationSummaries(_typeNames);
        summaries.Add(_folder.Write("a.xml", xml));
        return summaries;
    }

    [Theory]
    [InlineData("<summary>Adds &lt;b&gt; &amp; c.</summary>", "Adds <b> & c.")]
    [InlineData("<summary>\n   Two\r\n   lines. </summary>", "Two lines.")]
    [InlineData(
        "<summary>A <see cref=\"T:System.Int32\" />, <see langword=\"null\"/>, <paramref name=\"p\"/> and <typeparamref name=\"T\"/>.</summary>",
        "A int, null, p and T.")]
    [InlineData("<summary>A <see cref=\"T:System.Int32\">whole number</see>.</summary>", "A whole number.")]
    [InlineData(
        "<summary>A <see cref=\"T:System.Int32\"></see>, <xref uid=\"System.String\"></xref>, <xref uid=\"System.Single.NaN\" />.</summary>",
        "A int, string, Single.NaN.")]
    [InlineData("<summary><para>One.</para><para>Two <c>x</c>, <code>y</code>.</para></summary>", "One. Two x, y.")]
    [InlineData(
        "<summary>All:<list><item><description>a</description></item><item><description>b</description></item></list></summary>",
        "All: a b")]
    [InlineData("<summary>One<br/>two<!-- three --><?four five?></summary>", "One two")]
    [InlineData("<summary><![CDATA[a < b]]></summary>", "a < b")]
    [InlineData(
        "<summary>See <see href=\"https://example.org\" /> or <see href=\"https://example.org\">this</see>.</summary>",
        "See https://example.org or this."
    )]
    [InlineData("<summary />", null)]
    [InlineData("<summary> </summary>", null)]
    [InlineData("<returns>A number.</returns>", null)]
    public void A_summary_becomes_plain_words(string xml, string? expected) => Assert.Equal(expected, Summary(xml));

    [Theory]
    [InlineData("T:System.Collections.Generic.Dictionary`2", "Dictionary<TKey, TValue>")]
    [InlineData("T:System.Collections.Generic.Dictionary`2.Enumerator", "Dictionary<TKey, TValue>.Enumerator")]
    [InlineData("T:Elsewhere.Thing`1", "Thing")]
    [InlineData("M:System.String.Join(System.String,System.Collections.Generic.IEnumerable{System.String})", "string.Join")]
    [InlineData("M:System.Linq.Enumerable.Where``1(System.Collections.Generic.IEnumerable{``0})", "Enumerable.Where")]
    [InlineData("M:System.Collections.Generic.Dictionary`2.#ctor(System.Int32)", "Dictionary<TKey, TValue>")]
    [InlineData("P:System.Collections.Generic.Dictionary`2.Item(`0)", "Dictionary<TKey, TValue>.Item")]
    [InlineData("F:System.Int32.MaxValue", "int.MaxValue")]
    [InlineData("!:Unknown", "Unknown")]
    [InlineData("Bare", "Bare")]
    [InlineData("", "")]
    public void A_reference_is_named_as_C_sharp_names_it(string id, string expected) =>
        Assert.Equal(expected, new DocumentationSummaries(_typeNames).Name(id));

    [Fact]
    public void The_first_of_two_files_that_describe_a_member_stands()
    {
        var summaries = Read(
            "<doc><member name=\"T:X\"><summary>One.</summary></member><member><summary>No name.</summary></member></doc>");
        summaries.Add(
            _folder.Write(
                "b.xml",
                "<doc><member name=\"T:X\"><summary>Two.</summary></member><member name=\"T:Y\"><summary>Three.</summary></member></doc>"));
        Assert.Equal(("One.", "Three.", null), (summaries["T:X"], summaries["T:Y"], summaries["T:Z"]));
    }

    [Fact]
    public void A_file_that_is_not_XML_is_named_with_its_line()
    {
        var error = Assert.Throws<InvalidDataException>(() => Read("<doc>\n<member name=\"T:X\"><summary>One.</member></doc>"));
        Assert.StartsWith($"{Path.Combine(_folder.Path, "a.xml")}:2: not well-formed XML: ", error.Message, StringComparison.Ordinal);
    }
}
