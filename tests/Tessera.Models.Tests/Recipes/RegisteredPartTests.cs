using System.Text.Json.Serialization;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.FeedForward;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

/// <summary>Parts of another assembly, this one, are read, written, offered and built like the library's own.</summary>
public sealed class RegisteredPartTests
{
    [Fact]
    public void A_kind_counts_from_its_registration_on_even_if_its_group_was_used_before()
    {
        var before = Assert.Throws<RecipeException>(() => Read());
        Assert.Equal("sort.kind: is \"late\"; allowed: early", before.Message);
        Assert.DoesNotContain("\"late\"", RecipeJson.Schema<Holder>().ToJsonString(), StringComparison.Ordinal);
        Parts.Register<Sort, Late>("late");
        Assert.Equal(new Late(3), Read().Sort);
        Assert.Equal("""{"sort":{"kind":"late","number":3}}""", RecipeJson.Tree(Read()).ToJsonString());
        Assert.Contains("\"late\"", RecipeJson.Schema<Holder>().ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(new Late(), RecipeJson.Read<Holder>(RecipeJson.Parse("""{ "sort": "late" }""", "test")).Sort);
        var never = RecipeJson.Parse("""{ "sort": { "kind": "never" } }""", "test");
        Assert.Equal(
            "sort.kind: is \"never\"; allowed: early, late", Assert.Throws<RecipeException>(() => RecipeJson.Read<Holder>(never)).Message);

        static Holder Read() => RecipeJson.Read<Holder>(RecipeJson.Parse("""{ "sort": { "kind": "late", "number": 3 } }""", "test"));
    }

    [Fact]
    public void A_model_is_made_with_an_own_part_and_its_folder_comes_back()
    {
        Parts.Register<FeedForwardOptions, ScaledOptions>("test-scaled");
        var recipe = RecipeErrorTests.Changed("\"layers\": 2, ", "\"layers\": 2, ");
        const string FeedForward = "model.decoder.feedForward";
        Assert.Single(RecipeSettings.Apply<ModelConfig>(recipe, $"{FeedForward}=test-scaled", $"{FeedForward}.factor=3"));
        var config = RecipeJson.Read<ModelConfig>(recipe);
        using var scope = Arena.Current.Scope();
        var model = config.Model.Build(270, 1);
        Assert.Equal(2, model.Modules().Count(named => named.Module is Scaled));
        Assert.Equal(3, model.Parameters().Single(own => own.Name == "decoder.layers.1.feed_forward.factor").Parameter.Value.Item());
        var written = RecipeJson.Write(config);
        Assert.Equal(written, RecipeJson.Write(RecipeJson.Read<ModelConfig>(RecipeJson.Parse(written, "config.json"))));
    }

    public sealed record Holder(Sort Sort);

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
    [JsonDerivedType(typeof(Early), "early")]
    public abstract record Sort;

    public sealed record Early : Sort;

    public sealed record Late(int Number = 1) : Sort;

    public sealed record ScaledOptions(float Factor = 2) : FeedForwardOptions
    {
        public override FeedForward Build(PartBuilder part) => new Scaled(this);
    }

    private sealed class Scaled : FeedForward
    {
        private readonly Parameter _factor;

        public Scaled(ScaledOptions options) => _factor = Own("factor", PartBuilder.Constant(1, options.Factor));

        public override Tensor Forward(Tensor x, ForwardContext context) => Op.Scale(x, _factor.Value.Item());
    }
}
