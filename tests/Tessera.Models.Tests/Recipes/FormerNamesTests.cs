using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Positions;

namespace Tessera.Models.Tests;

/// <summary>What was called otherwise in an earlier version is read as what it is called now.</summary>
public sealed class FormerNamesTests
{
    private const string Former =
        """
        { "vocabulary": 19, "length": 9, "sourceLength": 9,
          "model": { "kind": "decoder", "width": 8, "laterTokens": 1,
            "decoder": { "layers": 2, "form": "sandwich", "feedForward": "gelu",
              "attention": { "kind": "latent", "heads": 2, "keyValueRank": 4, "queryRank": 6, "contentWidth": 4,
                             "positionWidth": 2, "valueWidth": 3 },
              "variants": [ { "first": 1, "attention": { "kind": "multi-head", "heads": 2,
                                                         "position": { "kind": "buckets", "buckets": 8 } } } ] } } }
        """;

    private static readonly string s_present = Former
        .Replace("laterTokens", "mtpDepth", StringComparison.Ordinal).Replace("\"form\"", "\"normPlacement\"", StringComparison.Ordinal)
        .Replace("keyValueRank", "kvLoraRank", StringComparison.Ordinal).Replace("queryRank", "qLoraRank", StringComparison.Ordinal)
        .Replace("contentWidth", "nopeHeadDim", StringComparison.Ordinal).Replace("positionWidth", "ropeHeadDim", StringComparison.Ordinal)
        .Replace("valueWidth", "vHeadDim", StringComparison.Ordinal)
        .Replace("\"buckets\", ", "\"relative-bias\", ", StringComparison.Ordinal);

    [Fact]
    public void Keys_and_kinds_of_0_1_mean_what_they_meant()
    {
        var (former, present) = (Read(Former), Read(s_present));
        Assert.Equal(RecipeJson.Write(present), RecipeJson.Write(former));
        var decoder = Assert.IsType<DecoderOptions>(former.Model);
        Assert.Equal((1, Nn.Blocks.NormPlacement.Sandwich), (decoder.MtpDepth, decoder.Decoder.NormPlacement));
        Assert.Equal(new LatentOptions(2, 4, 4, 2, 3) { QLoraRank = 6 }, decoder.Decoder.Attention);
        Assert.Equal(new RelativePositionBiasOptions(8), ((MultiHeadOptions)decoder.Decoder.Variants![0].Attention!).Position);
        Assert.True(former.Model.Build(19, 1).ParameterCount() > 0);
    }

    [Fact]
    public void Words_may_be_former_kinds()
    {
        var present = s_present.Replace("\"relative-bias\", \"buckets\": 8", "\"relative-bias\"", StringComparison.Ordinal);
        var former = Former.Replace("{ \"kind\": \"buckets\", \"buckets\": 8 }", "\"buckets\"", StringComparison.Ordinal);
        Assert.NotEqual(Former, former);
        Assert.Equal(RecipeJson.Write(Read(present)), RecipeJson.Write(Read(former)));
    }

    [Fact]
    public void Settings_may_use_former_names_on_recipes_of_either_time()
    {
        string[] settings =
        [
            "model.laterTokens=2", "model.decoder.form=post-norm",
            "model.decoder.attention.keyValueRank=5", "model.decoder.attention.valueWidth=7",
            "model.decoder.variants[0].attention.position.kind=rotary", "model.decoder.variants[0].attention.position=buckets",
            "model.decoder.variants[0].attention.position.maxDistance=99",
        ];
        var (former, present) = (RecipeJson.Parse(Former, "former.json"), RecipeJson.Parse(s_present, "present.json"));
        RecipeSettings.Apply<ModelConfig>(former, settings);
        RecipeSettings.Apply<ModelConfig>(present, settings);
        Assert.True(JsonNode.DeepEquals(former, present));
        var decoder = (DecoderOptions)RecipeJson.Read<ModelConfig>(former).Model;
        Assert.Equal((2, Nn.Blocks.NormPlacement.PostNorm), (decoder.MtpDepth, decoder.Decoder.NormPlacement));
        Assert.Equal(new LatentOptions(2, 5, 4, 2, 7) { QLoraRank = 6 }, decoder.Decoder.Attention);
        var variant = Assert.IsType<MultiHeadOptions>(decoder.Decoder.Variants![0].Attention);
        Assert.Equal(new RelativePositionBiasOptions(MaxDistance: 99), variant.Position);
    }

    [Fact]
    public void A_former_key_may_be_set_before_the_kind_that_has_it()
    {
        var recipe = RecipeJson.Parse(Former, "former.json");
        const string Attention = "model.decoder.variants[0].attention";
        RecipeSettings.Apply<ModelConfig>(recipe, $"{Attention}.valueWidth=3", $"{Attention}.keyValueRank=4", $"{Attention}.kind=latent");
        Assert.Equal(
            """{"kind":"latent","heads":2,"vHeadDim":3,"kvLoraRank":4}""",
            recipe["model"]!["decoder"]!["variants"]![0]!["attention"]!.ToJsonString());
    }

    [Theory]
    [InlineData(
        "\"heads\": 2, \"keyValueRank\"", "\"heads\": 2, \"kvLoraRank\": 3, \"keyValueRank\"",
        "model.decoder.attention.keyValueRank: is the former name of kvLoraRank, which is there too")]
    [InlineData("\"laterTokens\": 1", "\"laterTokens\": \"many\"", "model.mtpDepth: is \"many\"; expected a whole number")] // messages know present names only
    [InlineData(
        "\"queryRank\": 6",
        "\"queryWidth\": 6",
        "model.decoder.attention.queryWidth: is not a key here; allowed: kind, heads, kvLoraRank, nopeHeadDim, ropeHeadDim, vHeadDim, qLoraRank, bias, position, norm, pattern, scoreFactor"
    )]
    public void What_does_not_fit_is_told_in_present_names(string old, string changed, string message)
    {
        Assert.Contains(old, Former, StringComparison.Ordinal);
        Assert.Equal(message, Assert.Throws<RecipeException>(() => Read(Former.Replace(old, changed, StringComparison.Ordinal))).Message);
    }

    [Fact]
    public void Former_names_lead_to_options_that_there_are_and_hide_none()
    {
        var (names, types) = (FormerNames.OfRecipes, RecipeTypes.Current);
        Assert.All(names.Kinds, kind => Assert.NotNull(RecipeTypes.Part(kind.Group, kind.Now)));
        Assert.All(names.Kinds, kind => Assert.True(RecipeTypes.Part(kind.Group, kind.Former) is null || kind.Former == kind.Now));
        Assert.All(names.Keys, key =>
        {
            Assert.NotNull(types.Property(key.Record, key.Now.Split('.')[0]));
            Assert.Null(types.Property(key.Record, key.Former));
        });
        var schema = RecipeJson.Schema<ModelConfig>().ToJsonString();
        // One that has moved into a part of its own is still the name there.
        Assert.DoesNotContain(
            names.Keys.Where(key => !key.Now.EndsWith($".{key.Former}", StringComparison.Ordinal)),
            key => schema.Contains($"\"{key.Former}\"", StringComparison.Ordinal));
    }

    /// <summary>A kind that became another with a part of its own, and a key that moved into that part.</summary>
    [Fact]
    public void A_kind_may_have_become_another_with_something_said_besides()
    {
        var names = new FormerNames(
            [new FormerKey(typeof(Drawing), "span", "brush.width")],
            [new FormerKind(typeof(Art), "painting", "drawing", ("brush.kind", "flat"))]);
        Assert.Equal("""{"art":{"kind":"drawing","brush":{"kind":"flat","width":4}}}""", Full("""{"art":{"kind":"painting","span":4}}"""));
        Assert.Equal("""{"art":{"kind":"drawing","brush":{"kind":"flat"}}}""", Full("""{"art":"painting"}"""));
        Assert.Equal(
            """{"art":{"kind":"drawing","brush":{"kind":"round"}}}""", Full("""{"art":{"kind":"painting","brush":{"kind":"round"}}}"""));
        foreach (var settings in new[] { new[] { "art.kind=painting", "art.span=4" }, ["art.span=4", "art=painting"] })
        {
            var recipe = JsonNode.Parse("""{"art":{"kind":"sculpture","height":3}}""")!.AsObject();
            var note = Assert.Single(RecipeSettings.Apply(recipe, typeof(Room), settings, names));
            Assert.Equal("art is now drawing, which does not take height (3); dropped", note);
            Assert.Equal("""{"art":{"kind":"drawing","brush":{"kind":"flat","width":4}}}""", recipe.ToJsonString());
        }

        string Full(string text) => new FullForm(RecipeTypes.Current, names).Of(JsonNode.Parse(text), typeof(Room), "")!.ToJsonString();
    }

    private static ModelConfig Read(string text) => RecipeJson.Read<ModelConfig>(RecipeJson.Parse(text, "recipe.json"));

    public sealed record Room(Art Art);

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
    [JsonDerivedType(typeof(Drawing), "drawing")]
    [JsonDerivedType(typeof(Sculpture), "sculpture")]
    public abstract record Art;

    public sealed record Drawing(Brush? Brush = null) : Art;

    public sealed record Sculpture(int Height = 1) : Art;

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
    [JsonDerivedType(typeof(FlatBrush), "flat")]
    [JsonDerivedType(typeof(RoundBrush), "round")]
    public abstract record Brush(int Width);

    public sealed record FlatBrush(int Width = 1) : Brush(Width);

    public sealed record RoundBrush(int Width = 1) : Brush(Width);
}
