using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Tests.Formats.HuggingFace;

public sealed class HuggingFaceConfigTests
{
    [Fact]
    public void A_key_that_is_absent_has_the_default_and_one_that_is_null_is_nothing()
    {
        var config = Parse("{ \"a\": 3, \"none\": null, \"half\": 0.5, \"yes\": true, \"name\": \"x\", \"list\": [1, 2], \"inner\": { \"b\": 4 } }");
        Assert.Equal((3, 7), (config.Whole("a"), config.Whole("absent", 7)));
        Assert.Equal((3, null, 7), (config.WholeOrNull("a"), config.WholeOrNull("none", 7), config.WholeOrNull("absent", 7)));
        Assert.Equal((0.5, 3, 2), (config.Number("half"), config.Number("a"), config.Number("absent", 2)));
        Assert.Equal((true, false, true), (config.Truth("yes", false), config.Truth("none", false), config.Truth("absent", true)));
        Assert.Equal(("x", "y"), (config.Text("name", "y"), config.Text("none", "y")));
        Assert.Equal([1, 2], config.Wholes("list")!);
        Assert.Equal([1.0, 2], config.Numbers("list")!);
        Assert.Equal([3], config.OneOrMore("a")!);
        Assert.Equal([1, 2], config.OneOrMore("list")!);
        Assert.Null(config.OneOrMore("none"));
        Assert.Equal(4, config.Object("inner")!.Whole("b"));
        Assert.Equal((true, false, true, false), (config.Has("a"), config.Has("none"), config.Names("none"), config.Names("absent")));
    }

    [Theory]
    [InlineData("{ \"a\": \"3\" }", "config.json: a is \"3\"; allowed: a whole number")]
    [InlineData("{ \"a\": 3.5 }", "config.json: a is 3.5; allowed: a whole number")]
    [InlineData("{ \"a\": 4000000000 }", "config.json: a is 4000000000; allowed: a whole number")]
    [InlineData("{ \"a\": 0 }", "config.json: a is 0; allowed: 1 or above")]
    [InlineData("{ \"a\": null }", "config.json: a is null; allowed: a whole number")]
    [InlineData("{ }", "config.json: a is missing; allowed: a whole number")]
    [InlineData("[ 1 ]", "config.json: is [ 1 ]; expected an object { … }")]
    [InlineData("{ \"a\": 1", "config.json(1,9): is not valid JSON here: '1' is an invalid end of a number. Expected a delimiter")]
    [InlineData("", "config.json(1,1): is not valid JSON here: there is nothing")]
    [InlineData("""{ "model_type": "\ud800" }""", """config.json: holds a text that is not Unicode: half of a surrogate pair, written \ud800 to \udfff""")]
    public void A_wrong_number_is_named_with_file_key_and_what_is_allowed(string json, string message) => Expect(message, () => Parse(json).Whole("a"));

    [Fact]
    public void Other_wrong_values_are_named_too()
    {
        var config = Parse("{ \"a\": \"3\", \"far\": 1e999, \"list\": [1, \"2\"], \"fars\": [1, -1e999], \"inner\": { \"b\": [1.5] } }");
        Expect("config.json: a is \"3\"; allowed: a number", () => config.Number("a"));
        Expect("config.json: far is Infinity; allowed: a number", () => config.Number("far"));
        Expect("config.json: fars is -Infinity; allowed: numbers", () => config.Numbers("fars"));
        Expect("config.json: a is \"3\"; allowed: true or false", () => config.Truth("a", true));
        Expect("config.json: list is [1, \"2\"]; allowed: a text", () => config.Text("list", ""));
        Expect("config.json: list is [1, \"2\"]; allowed: a list of whole numbers", () => config.Wholes("list"));
        Expect("config.json: a is \"3\"; allowed: an object { … }", () => config.Object("a"));
        Expect("config.json: inner.b is 1.5; allowed: whole numbers", () => config.Object("inner")!.Wholes("b"));
    }

    [Theory]
    [InlineData("{ \"t\": \"plain\" }", "plain")]
    [InlineData("{ \"t\": [{ \"name\": \"tools\", \"template\": \"no\" }, { \"name\": \"default\", \"template\": \"yes\" }] }", "yes")]
    [InlineData("{ \"t\": [] }", null)]
    [InlineData("{ }", null)]
    public void A_template_may_be_one_of_several(string json, string? found) => Assert.Equal(found, Parse(json).NamedText("t", "default"));

    private static HuggingFaceConfig Parse(string json) => HuggingFaceConfig.Parse(json, "config.json");

    private static void Expect<T>(string message, Func<T> read) => Assert.Equal(message, Assert.Throws<InvalidDataException>(() => read()).Message);
}
