using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class JsonLinesOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus Load(string lines, string? text = null)
    {
        _folder.Write("a.jsonl", lines);
        return (new JsonLinesOptions("a.jsonl", Text: text) { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path);
    }

    [Fact]
    public void A_line_is_a_pair() => Assert.Equal(
        [new Example("a\nb", "é", "a\nb"), new Example("c", "d", "T")],
        Load("{\"source\":\"a\\nb\",\"target\":\"\\u00e9\",\"other\":[1]}\r\n\n{\"group\":\"T\",\"target\":\"d\",\"source\":\"c\"}").Train);

    [Fact]
    public void A_line_is_a_text_where_the_recipe_names_its_field() => Assert.Equal(
        [new Example(null, "once upon a time", "once upon a time"), new Example(null, "the end", "book")],
        Load("{\"body\":\"once upon a time\"}\n{\"body\":\"the end\",\"group\":\"book\"}\n", text: "body").Train);

    [Fact]
    public void Fields_have_the_names_the_recipe_gives_them()
    {
        _folder.Write("a.jsonl", "{\"q\":\"1\",\"a\":\"2\",\"from\":\"3\"}");
        var options = new JsonLinesOptions("a.jsonl", Source: "q", Target: "a", Group: "from") { ValidationFraction = 0, TestFraction = 0 };
        Assert.Equal([new Example("1", "2", "3")], options.Load(_folder.Path).Train);
    }

    [Fact]
    public void An_example_with_blank_text_is_left_out_and_counted()
    {
        var corpus = Load("{\"source\":\"\",\"target\":\"x\"}\n{\"source\":\"x\",\"target\":\" \"}\n{\"source\":\"x\",\"target\":\"y\"}\n");
        Assert.Single(corpus.Train);
        Assert.Equal(2, corpus.Dropped["empty source or target"]);
    }

    [Theory]
    [InlineData("{\"source\":\"a\"}", "the field \"target\" is missing")]
    [InlineData("{\"source\":\"a\",\"target\":7}", "the field \"target\" must be a string, found a number")]
    [InlineData("{\"source\":null,\"target\":\"b\"}", "the field \"source\" must be a string, found null")]
    [InlineData("{\"source\":\"a\",\"target\":\"b\",\"group\":[]}", "the field \"group\" must be a string, found an array")]
    [InlineData("[\"a\",\"b\"]", "expected a JSON object, found an array")]
    [InlineData("{\"source\":\"a\",\"target\":\"\\ud83d\"}", "the field \"target\" holds half of a surrogate pair")]
    public void A_wrong_line_is_named_with_file_and_number(string line, string message)
    {
        var error = Assert.Throws<InvalidDataException>(() => Load($"{{\"source\":\"a\",\"target\":\"b\"}}\n\n{line}\n"));
        Assert.Equal($"{Path.Combine(_folder.Path, "a.jsonl")}:3: {message}", error.Message);
    }

    [Theory]
    [InlineData("source,target")]
    [InlineData("{\"source\":\"a\",\"target\":\"b\"")]
    [InlineData("{\"source\":\"a\",\"target\":\"b\"} {}")]
    public void A_line_that_is_not_JSON_is_named_with_file_and_number(string line)
    {
        var error = Assert.Throws<InvalidDataException>(() => Load($"\n{line}\n"));
        Assert.StartsWith($"{Path.Combine(_folder.Path, "a.jsonl")}:2: not JSON: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Examples_of_a_group_stay_together()
    {
        _folder.Write(
            "a.jsonl",
            string.Concat(Enumerable.Range(0, 400).Select(i => $"{{\"source\":\"{i}\",\"target\":\"{i}\",\"group\":\"{i % 40}\"}}\n")));
        var corpus = (new JsonLinesOptions("a.jsonl") { ValidationFraction = 0.2, TestFraction = 0.2 }).Load(_folder.Path);
        Assert.NotEmpty(corpus.Validation);
        Assert.NotEmpty(corpus.Test);
        Assert.All(new[] { corpus.Train, corpus.Validation, corpus.Test }, split =>
            Assert.All(split.CountBy(pair => pair.Group), group => Assert.Equal(10, group.Value))
        );
    }

    [Fact]
    public void A_missing_file_is_named_with_its_key()
    {
        _folder.Write("a.jsonl", "{\"source\":\"a\",\"target\":\"b\"}");
        var error = Assert.Throws<FileNotFoundException>(() => new JsonLinesOptions("a.jsonl", Test: "t.jsonl").Load(_folder.Path));
        Assert.Equal($"data.test: {Path.Combine(_folder.Path, "t.jsonl")} does not exist", error.Message);
    }
}
