using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.FeedForward;

namespace Tessera.Models.Tests;

/// <summary>A word stands for a part of that kind with its defaults.</summary>
public sealed class RecipeWordTests
{
    [Fact]
    public void A_word_is_an_object_of_that_kind_wherever_a_part_is_expected()
    {
        const string Words =
            """
            { "vocabulary": 19, "length": 9, "sourceLength": 9,
              "model": { "kind": "encoder-decoder", "width": 8,
                "encoder": { "kind": "transformer", "layers": 2, "norm": "layer", "position": "sinusoidal", "feedForward": "gelu",
                             "attention": { "kind": "multi-head", "heads": 2, "position": "rotary", "queryKeyNorm": "rms" },
                             "variants": [ { "first": 1, "feedForward": "swiglu" },
                                           { "last": 0, "feedForward": { "kind": "experts", "expert": "relu", "router": "sigmoid" } } ] },
                "decoder": { "layers": 1, "feedForward": "experts",
                             "attention": { "kind": "multi-head", "heads": 2, "position": "alibi" } } } }
            """;
        string[] words = ["layer", "sinusoidal", "gelu", "rotary", "rms", "swiglu", "relu", "sigmoid", "experts", "alibi"];
        var objects = words
            .Aggregate(Words, (text, word) => text.Replace($": \"{word}\"", $$""": { "kind": "{{word}}" }""", StringComparison.Ordinal))
            .Replace("\"kind\": { \"kind\": \"experts\" }", "\"kind\": \"experts\"", StringComparison.Ordinal);
        var read = RecipeJson.Read<ModelConfig>(RecipeJson.Parse(Words, "words.json"));
        Assert.Equal(RecipeJson.Write(RecipeJson.Read<ModelConfig>(RecipeJson.Parse(objects, "objects.json"))), RecipeJson.Write(read));
        Assert.True(read.Model.Build(19, 1).ParameterCount() > 0);
    }

    [Fact]
    public void Items_of_lists_and_dictionaries_and_the_whole_may_be_words()
    {
        var read = RecipeJson.Read<Many>(RecipeJson.Parse(
            """{ "list": ["relu", { "kind": "gelu", "hidden": 3 }], "map": { "a": "tanh" }, "norm": "rms" }""", "many.json"));
        Assert.Equal([new ReluOptions(), new GeluOptions(3)], read.List);
        Assert.Equal(new TanhOptions(), read.Map["a"]);
        Assert.Equal(new Nn.Norms.RmsNormOptions(), read.Norm);
        Assert.Null(read.Position);
        var unknown = RecipeJson.Parse("""{ "list": ["relu", "gelus"] }""", "many.json");
        Assert.Equal(
            "list[1]: is \"gelus\"; allowed: swiglu, geglu, geglu-tanh, reglu, glu, clamped-swiglu, gelu, gelu-tanh, silu, relu, relu-squared, tanh, sigmoid, "
            + "or an object { … }",
            Assert.Throws<RecipeException>(() => RecipeJson.Read<Many>(unknown)).Message);
    }

    [Fact]
    public void Reading_leaves_the_tree_as_it_is()
    {
        var tree = RecipeJson.Parse("""{ "norm": "rms", "position": "buckets" }""", "many.json");
        RecipeJson.Read<Many>(tree);
        Assert.Equal("""{"norm":"rms","position":"buckets"}""", tree.ToJsonString());
    }

    [Fact]
    public void The_schema_offers_the_words_of_kinds_that_require_nothing()
    {
        var schema = RecipeJson.Schema<Many>()["properties"]!;
        Assert.Equal("""["rms","layer"]""", Words(schema["norm"]!));
        Assert.Equal("""["rotary","sinusoidal","learned","alibi","relative-bias",null]""", Words(schema["position"]!));
        Assert.Equal("""[null]""", Words(schema["scaling"]!)); // each needs a factor
        Assert.All(schema["norm"]!["anyOf"]!.AsArray().SkipLast(1), kind => Assert.Equal("object", kind!["type"]!.GetValue<string>()));

        static string Words(JsonNode group) => group["anyOf"]!.AsArray()[^1]!["enum"]!.ToJsonString();
    }

    public sealed record Many
    {
        public IReadOnlyList<DenseOptions> List { get; init; } = [];

        public IReadOnlyDictionary<string, FeedForwardOptions> Map { get; init; } = new Dictionary<string, FeedForwardOptions>();

        public Nn.Norms.NormOptions Norm { get; init; } = new Nn.Norms.LayerNormOptions();

        public Nn.Positions.PositionOptions? Position { get; init; }

        public Nn.Positions.RotaryScaling? Scaling { get; init; }
    }
}
