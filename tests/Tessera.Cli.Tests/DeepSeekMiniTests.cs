using Tessera.CSharp;
using Tessera.Models;
using Tessera.Nn.Attention;
using Tessera.Nn.Experts;
using Tessera.Training;

namespace Tessera.Cli.Tests;

/// <summary>The model of <c>recipes/deepseek-mini.json</c> is as small, as sparse and as cheap to decode as its recipe is there to
/// show.</summary>
public sealed class DeepSeekMiniTests
{
    private const int Length = 256;

    public DeepSeekMiniTests() => CSharpParts.Register();

    [Fact]
    public void It_has_14_million_weights_and_one_expert_of_sixteen_runs()
    {
        var recipe = Recipe.Load(CommittedFilesTests.InCheckout("recipes/deepseek-mini.json"));
        var summary = ModelSummary.Of(recipe.Model.Build(recipe.Tokenizer.Vocabulary, recipe.Seed), Length);
        Assert.InRange(summary.Parameters, 13_500_000, 14_500_000);
        Assert.InRange(summary.ActiveParameters, 3_000_000, 4_500_000);
        var decoder = Assert.IsType<DecoderOptions>(recipe.Model);
        var experts = Assert.IsType<ExpertsOptions>(decoder.Decoder.FeedForward);
        Assert.Equal((32, 2, 1, 1), (experts.Routed, experts.Active, experts.Shared, decoder.MtpDepth));
        Assert.True(Assert.IsType<SigmoidRouterOptions>(experts.Router) is { Bias: true, BiasRate: > 0 });
        Assert.DoesNotContain(recipe.Phases.SelectMany(phase => phase.Losses.Keys), name =>
            name.Contains("balance", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Its_cache_is_at_most_12_percent_of_that_of_the_same_model_with_all_heads()
    {
        const string Heads = """{"kind":"multi-head","heads":8,"headWidth":32,"position":{"kind":"rotary"}}""";
        var (latent, heads) = (Summary([]), Summary([$"model.decoder.attention={Heads}"]));
        Assert.Equal(heads.CacheBytes, heads.HeadsCacheBytes);
        Assert.Equal(heads.CacheBytes, latent.HeadsCacheBytes);
        Assert.InRange(latent.CacheBytes / (double)heads.CacheBytes, 0.05, 0.12);
        Assert.Equal(
            8,
            Assert
                .IsType<LatentOptions>(
                    ((DecoderOptions)Recipe.Load(CommittedFilesTests.InCheckout("recipes/deepseek-mini.json")).Model).Decoder.Attention)
                .Heads);

        static ModelSummary Summary(string[] settings)
        {
            var recipe = Recipe.Load(CommittedFilesTests.InCheckout("recipes/deepseek-mini.json"), settings);
            return ModelSummary.Of(recipe.Model.Build(recipe.Tokenizer.Vocabulary, recipe.Seed), Length);
        }
    }

    [Fact]
    public void Showing_it_names_the_share_of_the_cache()
    {
        var shown = TesseraProcess.Run(
            AppContext.BaseDirectory, ["recipe", "show", CommittedFilesTests.InCheckout("recipes/deepseek-mini.json")]);
        Assert.Equal(0, shown.Code);
        Assert.Contains(
            "for a sequence of 256, 10.9 % of the 2.0 MiB of keys and values of all heads", shown.Output, StringComparison.Ordinal);
    }
}
