using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

/// <summary>To swap a part is to change a word: nothing else needs to be said, and what was said stays as far as it can.</summary>
public sealed class PartSwapTests
{
    private const string Decoder = "model.decoder", FeedForward = $"{Decoder}.feedForward", Attention = $"{Decoder}.attention";

    private const string Recipe =
        """
        { "vocabulary": 19, "length": 20, "sourceLength": 0,
          "model": { "kind": "decoder", "width": 16,
            "decoder": { "layers": 2, "feedForward": "experts", "norm": "rms",
                         "attention": { "kind": "multi-head", "heads": 2, "position": "rotary" } } } }
        """;

    /// <summary>Where parts of a group stand, and those of its kinds that can stand there.</summary>
    private static readonly (string Path, string[] Kinds)[] s_places =
    [
        (Attention, Kinds(typeof(MixerOptions))),
        ($"{Attention}.pattern", Kinds(typeof(AttentionPattern))),
        (FeedForward, Kinds(typeof(FeedForwardOptions))),
        ($"{FeedForward}.expert", Kinds(typeof(DenseOptions))),
        ($"{FeedForward}.router", Kinds(typeof(RouterOptions))),
        ($"{Decoder}.norm", Kinds(typeof(NormOptions))),
        ($"{Attention}.queryKeyNorm", Kinds(typeof(NormOptions))),
        ($"{Attention}.position", ["rotary", "alibi", "relative-bias"]),
        ($"{Decoder}.position", ["sinusoidal", "learned"]),
    ];

    public static IEnumerable<object[]> Swaps => s_places.SelectMany(place =>
        from before in place.Kinds from after in place.Kinds where before != after select new object[] { place.Path, before, after });

    [Theory]
    [MemberData(nameof(Swaps))]
    public void Every_kind_becomes_every_other_of_its_place_by_one_word_and_learns(string path, string before, string after)
    {
        var recipe = Changed($$"""{{path}}={"kind":"{{before}}"}""");
        var notes = RecipeSettings.Apply<ModelConfig>(recipe, $"{path}.kind={after}");
        Assert.Empty(notes); // nothing but the kind was said
        Assert.Equal(after, At(recipe, path)["kind"]!.GetValue<string>());
        Learns(RecipeJson.Read<ModelConfig>(recipe).Model);
    }

    /// <summary>Parts of which something is said, as a recipe says it.</summary>
    private static readonly (string Path, string Part)[] s_said =
    [
        (Attention, """
            {"kind":"multi-head","heads":2,"keyValueHeads":1,"headWidth":8,"pattern":{"kind":"window","window":3},
            "position":{"kind":"rotary","theta":5000},"bias":true,"outputBias":false,"queryKeyNorm":{"kind":"rms"},
            "scoreScale":0.3,"softCap":5,"sinks":true}
            """),
        (Attention, """{"kind":"multi-head","heads":2,"position":{"kind":"alibi"},"pattern":"dilated"}"""),
        (Attention, """
            {"kind":"latent","heads":2,"kvLoraRank":8,"nopeHeadDim":4,"ropeHeadDim":4,"vHeadDim":4,"qLoraRank":6,
            "bias":true,"position":{"theta":5000},"norm":{"epsilon":0.001},"pattern":{"kind":"window","window":3},
            "scoreFactor":1.5}
            """),
        (Attention, """{"kind":"lstm","hidden":6}"""),
        (Attention, """{"kind":"gru","hidden":6}"""),
        ($"{Attention}.pattern", """{"kind":"window","window":3,"globalTokens":1}"""),
        (FeedForward, """
            {"kind":"experts","routed":4,"active":2,"shared":1,"expert":{"kind":"relu","hidden":5},
            "router":{"kind":"two-stage"}}
            """),
        (FeedForward, """{"kind":"swiglu","hidden":12,"bias":true}"""),
        ($"{FeedForward}.router", """{"kind":"sigmoid","biasRate":0.01,"scale":2}"""),
        ($"{Decoder}.norm", """{"kind":"layer","epsilon":0.001,"bias":true}"""),
        ($"{Attention}.position", """{"kind":"rotary","theta":5000,"layout":"interleaved"}"""),
        ($"{Decoder}.position", """{"kind":"learned","positions":50}"""),
    ];

    public static IEnumerable<object[]> SaidSwaps =>
        from said in s_said
        from place in s_places
        where place.Path == said.Path
        from after in place.Kinds
        select new object[] { said.Path, said.Part, after };

    [Theory]
    [MemberData(nameof(SaidSwaps))]
    public void Of_what_was_said_all_stays_that_the_new_kind_takes_and_all_else_is_named(string path, string part, string after)
    {
        var recipe = Changed($"{path}={part}");
        var before = At(recipe, path).DeepClone().AsObject();
        if (Equals(before["kind"]!.GetValue<string>(), after)) return; // stays as it is
        var notes = string.Join('\n', RecipeSettings.Apply<ModelConfig>(recipe, $"{path}.kind={after}"));
        var now = At(recipe, path).AsObject();
        foreach (var (key, value) in before)
        {
            if (key == "kind") continue;
            if (now.TryGetPropertyValue(key, out var kept)) Assert.Equal(Bare(value), Bare(kept));
            else Assert.Contains($"{key} ({Start(value)}", notes, StringComparison.Ordinal);
        }

        Assert.All(now.Where(own => own.Key != "kind"), own => Assert.True(before.ContainsKey(own.Key), own.Key));
        RecipeJson.Read<ModelConfig>(recipe);

        // Where one kind alone is allowed, it goes unsaid.
        static string Bare(JsonNode? value)
        {
            var bare = value?.DeepClone();
            (bare as JsonObject)?.Remove("kind");
            return bare?.ToJsonString() ?? "null";
        }

        static string Start(JsonNode? value) => value is JsonObject ? "{" : value?.ToJsonString() ?? "null";
    }

    /// <summary>How the decoder looks at the source follows from an attention that cannot.</summary>
    [Theory]
    [InlineData("attention.kind", "multi-head", "latent", "lstm", "gru")]
    [InlineData("attention.pattern", "full", "window", "dilated", "strided", "chunked")]
    public void Decoders_with_an_encoder_swap_by_one_word_too(string path, params string[] kinds)
    {
        Assert.Equal(kinds.Order(), Kinds(path == "attention.kind" ? typeof(MixerOptions) : typeof(AttentionPattern)).Order());
        foreach (var kind in kinds)
        {
            var recipe = Changed("model.kind=encoder-decoder", "model.encoder=lstm", "model.encoder.bidirectional=true");
            RecipeSettings.Apply<ModelConfig>(recipe, $"{Decoder}.{path}={kind}");
            Learns(RecipeJson.Read<ModelConfig>(recipe).Model);
        }
    }

    [Fact]
    public void No_kind_of_position_is_without_a_place() => Assert.Equal(
        Kinds(typeof(PositionOptions)).Order(),
        s_places.Where(place => place.Path.EndsWith(".position", StringComparison.Ordinal)).SelectMany(place => place.Kinds).Order());

    [Fact]
    public void Options_that_both_kinds_have_stay_and_the_others_are_named()
    {
        const string Said =
            """{"kind":"multi-head","heads":2,"keyValueHeads":1,"bias":true,"sinks":true,"position":{"kind":"rotary","theta":500}}""";
        var recipe = Changed($"{Attention}={Said}");
        var note = Assert.Single(RecipeSettings.Apply<ModelConfig>(recipe, $"{Attention}.kind=latent", $"{Attention}.kvLoraRank=8"));
        Assert.Equal("model.decoder.attention is now latent, which does not take keyValueHeads (1), sinks (true); dropped", note);
        Assert.Equal(
            """{"kind":"latent","heads":2,"bias":true,"position":{"theta":500},"kvLoraRank":8}""", At(recipe, Attention).ToJsonString());

        note = Assert.Single(RecipeSettings.Apply<ModelConfig>(recipe, $"{Attention}.kind=multi-head"));
        Assert.Equal("model.decoder.attention is now multi-head, which does not take kvLoraRank (8); dropped", note);
        Assert.Equal(
            """{"kind":"multi-head","heads":2,"bias":true,"position":{"kind":"rotary","theta":500}}""",
            At(recipe, Attention).ToJsonString()
        );
    }

    [Fact]
    public void An_option_whose_value_the_new_kind_does_not_take_is_dropped()
    {
        var recipe = Changed($"{Attention}.position=alibi");
        var note = Assert.Single(RecipeSettings.Apply<ModelConfig>(recipe, $"{Attention}=latent"));
        Assert.Equal("""model.decoder.attention is now latent, which does not take position ({"kind":"alibi"}); dropped""", note);
        Assert.Equal("""{"kind":"latent","heads":2}""", At(recipe, Attention).ToJsonString());
    }

    [Theory]
    [InlineData(
        "feedForward={\"kind\":\"swiglu\",\"hidden\":40,\"bias\":true}",
        "feedForward=gelu",
        """{"kind":"gelu","hidden":40,"bias":true}"""
    )]
    [InlineData(
        "feedForward={\"kind\":\"swiglu\",\"hidden\":40,\"bias\":true}",
        "feedForward=experts",
        """{"kind":"experts"}""",
        "hidden (40), bias (true)"
    )]
    [InlineData(
        "feedForward.router={\"kind\":\"sigmoid\",\"normalise\":false,\"scale\":2,\"biasRate\":0.5}",
        "feedForward.router=softmax",
        """{"kind":"experts","router":{"kind":"softmax","normalise":false,"scale":2}}""",
        "biasRate (0.5)"
    )]
    [InlineData("position={\"kind\":\"sinusoidal\",\"positions\":77}", "position.kind=learned", """{"kind":"learned","positions":77}""")]
    [InlineData("norm={\"kind\":\"layer\",\"epsilon\":0.5,\"bias\":false}", "norm=rms", """{"kind":"rms","epsilon":0.5}""", "bias (false)")]
    public void What_was_said_is_kept_or_named(string said, string swap, string left, string dropped = "")
    {
        var recipe = Changed($"{Decoder}.{said}");
        var notes = RecipeSettings.Apply<ModelConfig>(recipe, $"{Decoder}.{swap}");
        Assert.Equal(dropped.Length > 0 ? 1 : 0, notes.Count);
        Assert.All(notes, note => Assert.EndsWith($"which does not take {dropped}; dropped", note, StringComparison.Ordinal));
        Assert.Equal(left, At(recipe, $"{Decoder}.{said.Split('=', '.')[0]}").ToJsonString());
    }

    [Fact]
    public void A_word_and_a_kind_are_the_same()
    {
        var (word, kind) = (Changed($"{Attention}.bias=true"), Changed($"{Attention}.bias=true"));
        Assert.Equal(
            RecipeSettings.Apply<ModelConfig>(word, $"{Attention}=latent", $"{Decoder}.norm=layer"),
            RecipeSettings.Apply<ModelConfig>(kind, $"{Attention}.kind=latent", $"{Decoder}.norm.kind=layer"));
        Assert.True(JsonNode.DeepEquals(word, kind));
    }

    [Fact]
    public void The_order_of_a_kind_and_its_options_does_not_matter()
    {
        string[] settings =
        [
            $"{FeedForward}.kind=experts", $"{FeedForward}.routed=5", $"{FeedForward}.expert.kind=gelu", $"{FeedForward}.expert.hidden=24",
            $"{FeedForward}.router=sigmoid", $"{FeedForward}.router.biasRate=0.5",
        ];
        var wanted = JsonNode.Parse(
            """{"kind":"experts","routed":5,"expert":{"kind":"gelu","hidden":24},"router":{"kind":"sigmoid","biasRate":0.5}}""");
        foreach (var order in Orders(settings))
        {
            var recipe = Changed($"{FeedForward}=relu");
            Assert.Empty(RecipeSettings.Apply<ModelConfig>(recipe, [.. order]));
            var found = At(recipe, FeedForward);
            Assert.True(JsonNode.DeepEquals(wanted, found), $"{string.Join(' ', order)} gave {found.ToJsonString()}");
        }

        static IEnumerable<IEnumerable<string>> Orders(IReadOnlyList<string> of) => of.Count == 0
            ? [[]]
            : of.SelectMany(first => Orders([.. of.Where(other => other != first)]), (first, rest) => rest.Prepend(first));
    }

    [Fact]
    public void Of_two_kinds_and_of_two_values_the_later_counts()
    {
        var recipe = Changed($"{Decoder}.norm=layer", $"{Decoder}.norm=rms", $"{Decoder}.norm.epsilon=0.25", $"{Decoder}.norm.epsilon=0.5");
        Assert.Equal("""{"kind":"rms","epsilon":0.5}""", At(recipe, $"{Decoder}.norm").ToJsonString());
        // An object takes the place of what was there, and is swapped if a kind follows.
        const string Layer = """{"kind":"layer","epsilon":0.125,"bias":false}""";
        recipe = Changed($"{Decoder}.norm.kind=layer", $"{Decoder}.norm={Layer}", $"{Decoder}.norm.kind=rms");
        Assert.Equal("""{"kind":"rms","epsilon":0.125}""", At(recipe, $"{Decoder}.norm").ToJsonString());
    }

    [Fact]
    public void Options_of_a_part_that_the_recipe_leaves_out_are_those_of_its_default()
    {
        var recipe = Changed($"{FeedForward}.router.scale=2", $"{FeedForward}.expert.hidden=24");
        Assert.Equal(
            """{"kind":"experts","router":{"kind":"softmax","scale":2},"expert":{"kind":"swiglu","hidden":24}}""",
            At(recipe, FeedForward).ToJsonString());
        Learns(RecipeJson.Read<ModelConfig>(recipe).Model);
    }

    [Fact]
    public void Parts_in_lists_are_swapped_too()
    {
        var recipe = Changed(Decoder + """.variants=[{"first":1,"feedForward":{"kind":"swiglu","hidden":8}}]""");
        Assert.Empty(RecipeSettings.Apply<ModelConfig>(recipe, $"{Decoder}.variants[0].feedForward=relu"));
        Assert.Equal("""[{"first":1,"feedForward":{"kind":"relu","hidden":8}}]""", At(recipe, Decoder)["variants"]!.ToJsonString());
        Learns(RecipeJson.Read<ModelConfig>(recipe).Model);
    }

    [Theory]
    [InlineData("model.decoder.norm.kind=laier", "model.decoder.norm.kind: is \"laier\"; allowed: rms, layer")]
    [InlineData("model.decoder.norm=laier", "model.decoder.norm: is \"laier\"; allowed: rms, layer")]
    [InlineData("model.decoder.norm.kind=3", "model.decoder.norm.kind: is 3; allowed: rms, layer")]
    [InlineData("model.kind=tree", "model.kind: is \"tree\"; allowed: encoder-decoder, decoder, encoder")]
    [InlineData(
        "model.decoder.feedForward.expert=experts",
        "model.decoder.feedForward.expert: is \"experts\"; allowed: swiglu, geglu, geglu-tanh, reglu, glu, clamped-swiglu, gelu, gelu-tanh, silu, relu, relu-squared, tanh, sigmoid"
    )]
    public void A_kind_that_there_is_not_is_refused_before_anything_is_changed(string setting, string message)
    {
        var recipe = Changed();
        var before = recipe.ToJsonString();
        var error = Assert.Throws<RecipeException>(() => RecipeSettings.Apply<ModelConfig>(recipe, "model.width=8", setting));
        Assert.Equal(message, error.Message);
        Assert.Equal(before, recipe.ToJsonString());
    }

    private static string[] Kinds(Type group) =>
        [.. Parts.Kinds(group).Where(kind => kind.Part.Assembly == typeof(Parts).Assembly).Select(kind => kind.Name)];

    private static JsonObject Changed(params string[] settings)
    {
        var recipe = RecipeJson.Parse(Recipe, "recipe.json");
        RecipeSettings.Apply<ModelConfig>(recipe, settings);
        return recipe;
    }

    private static JsonObject At(JsonObject recipe, string path) => path.Split('.').Aggregate(recipe, (json, key) => json[key]!.AsObject());

    /// <summary>Twenty steps down the gradient make a text likelier, and the model still decodes.</summary>
    private static void Learns(ModelOptions options)
    {
        using var scope = Arena.Current.Scope();
        var model = options.Build(SmallModels.Vocabulary, 3);
        int[] text = [1, .. SmallModels.Text(7, 1), 2];
        int[][]? sources = model.ReadsSource ? [SmallModels.Text(4, 2)] : null;
        var batch = SmallModels.Batch(sources, [text[..^1]], [text[1..]]);
        var before = SmallModels.Loss(model, batch);
        for (var step = 0; step < 20; step++)
        {
            using (var tape = Tape.Record()) tape.Backward(SmallModels.LossOf(model, batch));
            foreach (var (_, parameter) in model.Parameters().Where(own => own.Parameter.IsTrained))
            {
                var weights = parameter.Value.Floats;
                var gradient = parameter.Value.Gradient;
                for (var i = 0; i < gradient.Length; i++) weights[i] -= 0.01f * gradient[i];
                gradient.Clear();
            }
        }

        Assert.InRange(SmallModels.Loss(model, batch), 0, before - 1e-3);
        var state = new DecodedRows(model, sources?[0] ?? []);
        Assert.All(state.Next(text[..4]).ToArray(), logit => Assert.True(float.IsFinite(logit)));
        Assert.Equal(SmallModels.Vocabulary, state.Next([5]).Shape.Width);
    }
}
