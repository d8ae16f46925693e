using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Models.Tests.Formats;
using Tessera.Nn;
using Tessera.Nn.Attention;

namespace Tessera.Models.Tests;

/// <summary>Every error names the place, what was found and what is allowed.</summary>
public sealed class RecipeErrorTests
{
    private const string Good =
        """
        {
          "vocabulary": 270, "length": 20, "sourceLength": 10,
          "model": {
            "kind": "decoder", "width": 8,
            "decoder": {
              "layers": 2, "dropout": 0.1, "position": { "kind": "sinusoidal" }, "norm": { "kind": "layer" },
              "attention": { "kind": "multi-head", "heads": 4, "position": { "kind": "rotary", "layout": "interleaved" } },
              "feedForward": { "kind": "experts", "routed": 4, "active": 2, "expert": { "kind": "relu", "hidden": 5 } }
            }
          }
        }
        """;

    [Fact]
    public void The_recipe_that_the_other_tests_spoil_is_good()
    {
        var config = RecipeJson.Read<ModelConfig>(RecipeJson.Parse(Good, "good.json"));
        Assert.Equal("decoder", config.Model is DecoderOptions ? "decoder" : "other");
        Assert.True(config.Model.Build(270, 1).ParameterCount() > 0);
    }

    [Theory]
    [InlineData(
        "\"heads\": 4",
        "\"heads\": 4, \"head\": 3",
        "model.decoder.attention.head: is not a key here; allowed: kind, heads, keyValueHeads, headWidth, pattern, position, bias, outputBias, queryKeyNorm, wholeQueryKeyNorm, perHeadQueryKeyNorm, scoreScale, softCap, sinks"
    )]
    [InlineData(
        "\"layers\": 2",
        "\"layers\": 2, \"kind\": \"lstm\"",
        "model.decoder.kind: is \"lstm\"; allowed: transformer"
    )]
    [InlineData(
        "\"multi-head\"", "\"single-head\"", "model.decoder.attention.kind: is \"single-head\"; allowed: multi-head, latent, lstm, gru")]
    [InlineData("\"multi-head\"", "7", "model.decoder.attention.kind: is 7; allowed: multi-head, latent, lstm, gru")]
    [InlineData("\"kind\": \"decoder\"", "\"kind\": \"Decoder\"", "model.kind: is \"Decoder\"; allowed: encoder-decoder, decoder, encoder")]
    [InlineData(
        "\"relu\"",
        "\"experts\"",
        "model.decoder.feedForward.expert.kind: is \"experts\"; allowed: swiglu, geglu, geglu-tanh, reglu, glu, clamped-swiglu, gelu, gelu-tanh, silu, relu, relu-squared, tanh, sigmoid"
    )]
    [InlineData(", \"width\": 8", "", "model.width: is missing; expected a whole number")]
    [InlineData(
        "\"layers\": 2, ", "", "model.decoder.layers: is missing; expected a number of layers, or names such as \"3 x lstm, attention\"")]
    [InlineData(
        "\"layers\": 2", "\"layers\": true",
        "model.decoder.layers: is true; expected a number of layers, or names such as \"3 x lstm, attention\"")]
    [InlineData("\"layers\": 2", "\"layers\": 0", "model.decoder.layers: layers is 0; allowed: 1 to 256")]
    [InlineData(
        "\"layers\": 2",
        "\"layers\": \"2 attention\"",
        "model.decoder.layers: '2 attention' is no pattern of layers: after the number 2 comes 'x' and what is repeated; allowed: a number, or names such as \"3 x lstm, attention\""
    )]
    [InlineData("\"width\": 8", "\"width\": \"8\"", "model.width: is \"8\"; expected a whole number")]
    [InlineData("\"width\": 8", "\"width\": 8.5", "model.width: is 8.5; expected a whole number")]
    [InlineData("\"width\": 8", "\"width\": 99999999999", "model.width: is 99999999999; expected a whole number")]
    [InlineData("\"width\": 8", "\"width\": true", "model.width: is true; expected a whole number")]
    [InlineData("\"dropout\": 0.1", "\"dropout\": \"a little\"", "model.decoder.dropout: is \"a little\"; expected a number")]
    [InlineData("\"width\": 8", "\"width\": 8, \"tieEmbeddings\": 1", "model.tieEmbeddings: is 1; expected true or false")]
    [InlineData(
        "\"interleaved\"", "\"thirds\"", "model.decoder.attention.position.layout: is \"thirds\"; expected one of halves, interleaved")]
    [InlineData("\"interleaved\"", "1", "model.decoder.attention.position.layout: is 1; expected one of halves, interleaved")]
    [InlineData("{ \"kind\": \"layer\" }", "\"laier\"", "model.decoder.norm: is \"laier\"; allowed: rms, layer, or an object { … }")]
    [InlineData("{ \"kind\": \"layer\" }", "3", "model.decoder.norm: is 3; expected an object { … }")]
    [InlineData(
        "{ \"kind\": \"relu\", \"hidden\": 5 }",
        "\"experts\"",
        "model.decoder.feedForward.expert: is \"experts\"; allowed: swiglu, geglu, geglu-tanh, reglu, glu, clamped-swiglu, gelu, gelu-tanh, silu, relu, relu-squared, tanh, sigmoid, or an object { … }"
    )]
    [InlineData("{ \"kind\": \"layer\" }", "[ ]", "model.decoder.norm: is [ ]; expected an object { … }")]
    [InlineData("{ \"kind\": \"layer\" }", "null", "model.decoder.norm: is null; expected an object { … }")]
    [InlineData("\"width\": 8", "\"width\": null", "model.width: is null; expected a whole number")]
    [InlineData("\"width\": 8", "\"width\": 8, \"width\": 9", "model.width: appears twice")]
    [InlineData(
        "\"vocabulary\": 270", "\"vocabulary\": 270, \"other\": 1",
        "other: is not a key here; allowed: model, vocabulary, length, sourceLength, weightsHash")]
    public void A_recipe_that_does_not_fit_is_refused_with_its_place(string old, string changed, string message)
    {
        var error = Assert.Throws<RecipeException>(() => RecipeJson.Read<ModelConfig>(Changed(old, changed)));
        Assert.Equal(message, error.Message.Replace("[]", "[ ]", StringComparison.Ordinal));
        Assert.Equal(message[..message.IndexOf(':', StringComparison.Ordinal)], error.Path);
    }

    [Fact]
    public void All_that_is_wrong_is_told_at_once()
    {
        var spoiled = Changed("\"heads\": 4", "\"heads\": 4.5, \"head\": 3");
        spoiled["vocabulary"] = "many";
        spoiled["model"]!["decoder"]!["norm"] = new JsonObject { ["kind"] = "laier" };
        spoiled["model"]!["decoder"]!["feedForward"]!["active"] = null;
        ((JsonObject)spoiled["model"]!).Remove("width");
        var error = Assert.Throws<RecipeException>(() => RecipeJson.Read<ModelConfig>(spoiled));
        Assert.Equal(
            [
                "vocabulary: is \"many\"; expected a whole number",
                "model.decoder.norm.kind: is \"laier\"; allowed: rms, layer",
                "model.decoder.attention.heads: is 4.5; expected a whole number",
                "model.decoder.attention.head: is not a key here; allowed: kind, heads, keyValueHeads, headWidth, pattern, position, "
                    + "bias, outputBias, queryKeyNorm, wholeQueryKeyNorm, perHeadQueryKeyNorm, scoreScale, softCap, sinks",
                "model.decoder.feedForward.active: is null; expected a whole number",
                "model.width: is missing; expected a whole number",
            ],
            error.Problems);
        Assert.Equal(("vocabulary", string.Join('\n', error.Problems)), (error.Path, error.Message));
    }

    [Theory]
    [InlineData("{ \"kind\": \"layer\" }", "{ \"epsilon\": 0.5 }", "rms")]
    [InlineData("{ \"kind\": \"layer\" }", "{ }", "rms")]
    public void A_part_that_does_not_say_its_kind_is_of_the_usual_one(string old, string changed, string kind)
    {
        var config = RecipeJson.Read<ModelConfig>(Changed(old, changed));
        Assert.Equal(kind, Parts.KindOf(((DecoderOptions)config.Model).Decoder.Norm.GetType()));
    }

    [Theory]
    [InlineData("{ \"kind\": \"rotary\", \"theta\": 5000 }")]
    [InlineData("{ \"theta\": 5000 }")]
    [InlineData("\"rotary\"")]
    public void Where_one_kind_alone_is_allowed_it_may_be_said(string position)
    {
        var recipe = Changed("{ \"kind\": \"rotary\", \"layout\": \"interleaved\" }", position);
        var attention = (JsonObject)recipe["model"]!["decoder"]!["attention"]!;
        (attention["kind"], attention["heads"]) = ("latent", 2);
        var latent = (LatentOptions)((DecoderOptions)RecipeJson.Read<ModelConfig>(recipe).Model).Decoder.Attention;
        Assert.Equal(position[0] == '"' ? 10_000 : 5000, latent.Position.Theta);
        RecipeSettings.Apply<ModelConfig>(recipe, "model.decoder.attention.position.kind=rotary");
        Assert.Equal(latent, ((DecoderOptions)RecipeJson.Read<ModelConfig>(recipe).Model).Decoder.Attention);
        Assert.Equal(
            "model.decoder.attention.position.kind: is \"alibi\"; allowed: rotary",
            Assert.Throws<RecipeException>(() => RecipeSettings.Apply<ModelConfig>(
                recipe, "model.decoder.attention.position.kind=alibi")).Message);
    }

    [Theory]
    [InlineData("\"heads\": 4", "\"heads\": 3", "model.decoder.attention.heads: is 3; allowed: a divisor of the width 8, or a headWidth")]
    [InlineData(
        "\"heads\": 4", "\"heads\": 8",
        "model.decoder.attention.position.width: is 1; allowed: an even number up to the width of a head, 1")]
    [InlineData("\"active\": 2", "\"active\": 5", "model.decoder.feedForward.active: is 5; allowed: 1 to routed, 4")]
    [InlineData("\"hidden\": 5", "\"hidden\": -5", "model.decoder.feedForward.expert.hidden: is -5; allowed: 1 to 1048576")]
    [InlineData(
        "{ \"kind\": \"sinusoidal\" }",
        "{ \"kind\": \"rotary\" }",
        "model.decoder.position.kind: is rotary; allowed: a kind that is added to embeddings, such as sinusoidal; rotary positions belong in attention.position"
    )]
    [InlineData(
        "{ \"kind\": \"rotary\", \"layout\": \"interleaved\" }",
        "{ \"kind\": \"sinusoidal\" }",
        "model.decoder.attention.position.kind: is sinusoidal; allowed: a kind that acts on queries and keys or on scores, such as rotary"
    )]
    [InlineData(
        "\"active\": 2", "\"active\": 2, \"shared\": 0, \"router\": { \"kind\": \"two-stage\" }",
        "model.decoder.feedForward.router.kind: is two-stage; allowed: a router for at least one shared expert")]
    [InlineData("\"kind\": \"layer\"", "\"kind\": \"layer\", \"epsilon\": 0", "model.decoder.norm.epsilon: is 0; allowed: greater than 0")]
    public void A_model_that_cannot_be_is_refused_with_its_place(string old, string changed, string message)
    {
        var config = RecipeJson.Read<ModelConfig>(Changed(old, changed));
        Assert.Equal(message, Assert.Throws<RecipeException>(() => config.Model.Build(270, 1)).Message);
    }

    [Theory]
    [InlineData("{\n  \"a\": 1,\n  \"b\": x\n}", "recipe.json(3,8): is not valid JSON here: 'x' is an invalid start of a value")]
    [InlineData(
        """{ "name": "\ud800" }""",
        """recipe.json: holds a text that is not Unicode: half of a surrogate pair, written \ud800 to \udfff"""
    )]
    [InlineData(
        """{ "\udc00": 1 }""",
        """recipe.json: holds a text that is not Unicode: half of a surrogate pair, written \ud800 to \udfff"""
    )]
    [InlineData("{", "recipe.json(1,2): is not valid JSON here: it ends before the last { or [ is closed")]
    [InlineData("", "recipe.json(1,1): is not valid JSON here: there is nothing")]
    [InlineData("[1]", "recipe.json: is not a JSON object")]
    [InlineData("null", "recipe.json: is not a JSON object")]
    [InlineData("3", "recipe.json: is not a JSON object")]
    public void A_text_that_is_not_a_JSON_object_is_refused_with_line_and_column(string text, string message) =>
        Assert.Equal(message, Assert.Throws<RecipeException>(() => RecipeJson.Parse(text, "recipe.json")).Message);

    [Fact]
    public void Comments_and_trailing_commas_are_allowed() =>
        Assert.Equal(8, RecipeJson.Read<ModelConfig>(Changed("\"width\": 8,", "// narrow\n \"width\": 8, /* enough */")).Model.Width);

    [Fact]
    public void Lists_and_dictionaries_are_checked_item_by_item()
    {
        Assert.Equal("texts[1]: is 2; expected a text", Message("""{ "texts": ["a", 2] }"""));
        Assert.Equal("texts: is \"a\"; expected a list [ … ]", Message("""{ "texts": "a" }"""));
        Assert.Equal(
            "parts[1].hidden: is \"wide\"; expected a whole number",
            Message("""{ "parts": [{ "kind": "relu", "hidden": 1 }, { "kind": "gelu", "hidden": "wide" }] }""")
        );
        Assert.Equal("parts[0]: is null; expected an object { … }", Message("""{ "parts": [null] }"""));
        Assert.Equal("weights.balance: is \"much\"; expected a number", Message("""{ "weights": { "balance": "much" } }"""));
        Assert.Equal("weights.balance: is null; expected a number", Message("""{ "weights": { "balance": null } }"""));
        Assert.Equal("texts[0]: is null; expected a text", Message("""{ "texts": [null] }"""));

        static string Message(string text) =>
            Assert.Throws<RecipeException>(() => RecipeJson.Read<Lists>(RecipeJson.Parse(text, "lists.json"))).Message;
    }

    [Fact]
    public void A_long_wrong_value_is_shown_shortened()
    {
        var error = Assert.Throws<RecipeException>(() =>
            RecipeJson.Read<ModelConfig>(Changed("\"width\": 8", $"\"width\": \"{new string('x', 500)}\""))
        );
        Assert.InRange(error.Message.Length, 60, 120);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<FileNotFoundException>(() => RecipeJson.ReadFile<ModelConfig>(folder.File("none.json")));
        Assert.Equal(folder.File("none.json"), error.FileName);
    }

    internal static JsonObject Changed(string old, string changed)
    {
        Assert.Contains(old, Good, StringComparison.Ordinal);
        return RecipeJson.Parse(Good.Replace(old, changed, StringComparison.Ordinal), "recipe.json");
    }

    public sealed record Lists
    {
        public IReadOnlyList<string> Texts { get; init; } = [];

        public IReadOnlyList<Nn.FeedForward.DenseOptions> Parts { get; init; } = [];

        public IReadOnlyDictionary<string, double> Weights { get; init; } = new Dictionary<string, double>();
    }
}
