using System.Text.Json;
using System.Text.Json.Serialization;
using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class CorpusOptionsTests
{
    private static readonly JsonSerializerOptions _json = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    private static CorpusOptions Read(string json) => JsonSerializer.Deserialize<CorpusOptions>(json, _json)!;

    [Fact]
    public void A_recipe_names_every_kind_of_corpus()
    {
        Assert.Equal(
            new ParallelFilesOptions("a.java", "a.cs", TestSource: "b.java", TestTarget: "b.cs") { Seed = 3, ValidationFraction = 0.1 },
            Read(
                """{ "kind": "parallel-files", "trainSource": "a.java", "trainTarget": "a.cs", "testSource": "b.java", "testTarget": "b.cs", "seed": 3, "validationFraction": 0.1 }"""
            )
        );
        Assert.Equal(
            new JsonLinesOptions("a.jsonl", Text: "body") { TestFraction = 0 },
            Read("""{ "kind": "jsonl", "train": "a.jsonl", "text": "body", "testFraction": 0 }"""));
        var text = Assert.IsType<TextFolderOptions>(Read("""{ "kind": "text", "path": "docs", "patterns": ["*.md"] }"""));
        Assert.Equal(["*.md"], text.Patterns!);
    }

    [Fact]
    public void An_unknown_key_or_kind_is_refused()
    {
        Assert.Throws<JsonException>(() => Read("""{ "kind": "text", "path": "docs", "pattern": "*.md" }"""));
        Assert.Throws<JsonException>(() => Read("""{ "kind": "books" }"""));
    }

    [Fact]
    public void Options_survive_being_written_and_read()
    {
        CorpusOptions options = new JsonLinesOptions("a.jsonl", Validation: "b.jsonl") { Seed = 9 };
        Assert.Equal(options, Read(JsonSerializer.Serialize(options, _json)));
    }

    [Theory]
    [InlineData(
        """{ "kind": "text", "path": "x", "validationFraction": 0.7 }""",
        "data.validationFraction must be between 0 and 0.5, found 0.7"
    )]
    [InlineData("""{ "kind": "text", "path": "x", "testFraction": -0.1 }""", "data.testFraction must be between 0 and 0.5, found -0.1")]
    [InlineData("""{ "kind": "text" }""", "data.path is missing or empty")]
    [InlineData("""{ "kind": "text", "path": "x", "patterns": [] }""", "data.patterns is empty; leave it out to read *.cs, *.md and *.txt")]
    [InlineData(
        """{ "kind": "text", "path": "x", "patterns": ["*.cs", "src/*.cs"] }""",
        "data.patterns[1] must be a file's or folder's name without separators, found src/*.cs"
    )]
    [InlineData("""{ "kind": "jsonl", "train": "x", "source": "" }""", "data.source is missing or empty")]
    [InlineData("""{ "kind": "jsonl", "train": "x", "text": " " }""", "data.text is missing or empty")]
    [InlineData("""{ "kind": "parallel-files", "trainSource": "x" }""", "data.trainTarget is missing or empty")]
    [InlineData(
        """{ "kind": "parallel-files", "trainSource": "x", "trainTarget": "y", "testTarget": "z" }""",
        "data.testTarget is given but data.testSource is not; a split needs both"
    )]
    public void An_impossible_option_is_named_with_its_value(string json, string message) =>
        Assert.Equal(message, Assert.Throws<ArgumentException>(() => Read(json).Load(".")).Message);

    [Fact]
    public void Not_a_number_is_no_fraction() =>
        Assert.Throws<ArgumentException>(() => (new TextFolderOptions("x") { TestFraction = double.NaN }).Validate());
}
