using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;

namespace Tessera.Nn.Tests;

public sealed class NormPlacementTests
{
    private const int Length = 4;
    private const int Width = 6;
    private const float Epsilon = 0.1f; // large, so that a norm of what a part makes does not enlarge the rounding of small results

    [Theory]
    [InlineData(NormPlacement.PreNorm, 0.5f)]
    [InlineData(NormPlacement.PostNorm, 1)]
    [InlineData(NormPlacement.PostNorm, 0.5f)]
    [InlineData(NormPlacement.Sandwich, 1)]
    [InlineData(NormPlacement.ResidualPostNorm, 1)]
    [InlineData(NormPlacement.ResidualPostNorm, 0.5f)]
    [InlineData(NormPlacement.Parallel, 1)]
    [InlineData(NormPlacement.Parallel, 0.5f)]
    [InlineData(NormPlacement.ParallelOneNorm, 1)]
    public void Each_form_is_its_equation(NormPlacement form, float scale)
    {
        var options = Options() with { NormPlacement = form, ResidualScale = scale };
        var part = PartCheck.Shaken(new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(1, Length)), Equation, 5e-6, null, ("x", [1, Length, Width]));

        double[] Equation(Dictionary<string, double[]> exact)
        {
            var x = exact["x"];
            for (var layer = 0; layer < options.Layers; layer++)
            {
                var name = $"layers.{layer}.";
                x = form switch
                {
                    NormPlacement.PreNorm => Pre(After(x, Attend(Norm(x, name + "input_norm")))),
                    NormPlacement.PostNorm => Post(Norm(After(x, Attend(x)), name + "attention_output_norm")),
                    NormPlacement.ResidualPostNorm => ResidualPost(After(x, Norm(Attend(x), name + "attention_output_norm"))),
                    NormPlacement.Sandwich => Sandwich(
                        After(x, Norm(Attend(Norm(x, name + "input_norm")), name + "attention_output_norm"))),
                    NormPlacement.Parallel => After(
                        After(x, Attend(Norm(x, name + "input_norm"))), FeedForward(Norm(x, name + "feed_forward_norm"))),
                    _ => After(After(x, Attend(Norm(x, name + "input_norm"))), FeedForward(Norm(x, name + "input_norm"))),
                };

                double[] Pre(double[] y) => After(y, FeedForward(Norm(y, name + "feed_forward_norm")));

                double[] Post(double[] y) => Norm(After(y, FeedForward(y)), name + "feed_forward_output_norm");

                double[] ResidualPost(double[] y) => After(y, Norm(FeedForward(y), name + "feed_forward_output_norm"));

                double[] Sandwich(double[] y) =>
                    After(y, Norm(FeedForward(Norm(y, name + "feed_forward_norm")), name + "feed_forward_output_norm"));

                double[] Attend(double[] values)
                {
                    double[] Map(string map, double[] from) => ExactMath.Linear(from, exact[$"{name}attention.{map}.weight"], null, Width);
                    return Map("o_proj", ExactMath.Attend(
                            Map("q_proj", values), Map("k_proj", values), Map("v_proj", values), 1, 2, 2, Width / 2,
                            (_, query, key) => key <= query));
                }

                double[] FeedForward(double[] values) => ExactMath.Linear(
                    [.. ExactMath.Linear(values, exact[name + "feed_forward.up_proj.weight"], null, Width).Select(ExactMath.Relu)],
                    exact[name + "feed_forward.down_proj.weight"], null, 5);
            }

            return form == NormPlacement.PostNorm ? x : Norm(x, "norm");

            double[] Norm(double[] values, string norm) => ExactMath.RmsNorm(values, exact[norm + ".weight"], Epsilon);

            double[] After(double[] stream, double[] added) => ExactMath.Add(stream, [.. added.Select(value => scale * value)]);
        }
    }

    [Fact]
    public void A_layer_that_is_a_variant_has_another_attention_or_feed_forward()
    {
        var full = new MultiHeadOptions(2);
        var options = Options() with
        {
            Layers = 7, Attention = new MultiHeadOptions(2) { Pattern = new WindowPattern(2) },
            FeedForward = new ExpertsOptions(3, 1, new ReluOptions(4)),
            Variants =
            [
                new LayerVariant { First = 2, Every = 3, Attention = full },
                new LayerVariant { Last = 1, FeedForward = new ReluOptions(9) },
                new LayerVariant { First = 1, Last = 1, FeedForward = new ReluOptions(3) },
            ],
        };
        var modules = new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal)
            .Modules()
            .ToDictionary(named => named.Name, named => named.Module);
        for (var layer = 0; layer < 7; layer++)
        {
            var attention = modules[$"layers.{layer}.attention"];
            var seen = attention.FlopsPerToken(100) - attention.FlopsPerToken(0) > 4 * Width * 2; // more keys than the window has
            Assert.Equal(layer is 2 or 5, seen);
            var feedForward = modules[$"layers.{layer}.feed_forward"];
            Assert.Equal(layer >= 2, feedForward is ExpertsFeedForward);
            if (layer < 2) Assert.Equal((layer == 0 ? 9 : 3) * 2 * Width, feedForward.ParameterCount());
        }
    }

    [Fact]
    public void The_stream_before_each_layer_and_at_the_end_can_be_read()
    {
        using var scope = Arena.Current.Scope();
        var part = new Transformer(Options(), PartCheck.Builder(Width), MixerRole.Causal);
        var x = Tensor.From(PartCheck.Normal(Length * Width, 3), [1, Length, Width]);
        List<Tensor> streams = [];
        var step = PartCheck.Step(1, Length);
        step.HiddenStates = streams;
        var y = part.Forward(x, step);
        Assert.Equal(3, streams.Count);
        Assert.Equal(x.ToArray(), streams[0].ToArray());
        Assert.Equal(y.ToArray(), streams[2].ToArray());
    }

    [Fact]
    public void Forms_and_variants_that_cannot_be_are_named()
    {
        Expect("model.residualScale: is 0; allowed: greater than 0", Options() with { ResidualScale = 0 });
        Expect(
            "model.normPlacement: is Parallel; allowed: a form whose parts follow",
            Options() with
            {
                NormPlacement = NormPlacement.Parallel,
            },
            memoryWidth: 4);
        Expect(
            "model.variants[0].every: is 0; allowed: at least 1", With(new LayerVariant { Every = 0, FeedForward = new ReluOptions(3) }));
        Expect(
            "model.variants[0].first: is -1; allowed: 0 or above", With(new LayerVariant { First = -1, FeedForward = new ReluOptions(3) }));
        Expect(
            "model.variants[0].last: is 1; allowed: first, 2, or above",
            With(
                new LayerVariant
                {
                    First = 2,
                    Last = 1,
                    FeedForward = new ReluOptions(3),
                }));
        Expect("model.variants[0].attention: is missing; allowed: an attention, a feedForward, or both", With(new LayerVariant()));
        Expect(
            "model.variants[0].feedForward.hidden: is 0; allowed: 1 to 1048576",
            With(new LayerVariant { FeedForward = new ReluOptions(0) }));

        Expect("model.variants[0].first: is 2; allowed: below 2, the number of layers", With(new LayerVariant { First = 2, FeedForward = new ReluOptions(3) }));
        var wide = new LayerVariant { FeedForward = new ReluOptions(3) };
        Expect("model.variants[0].feedForward: is that of no layer", Options() with { Variants = [wide with { First = 1 }, wide] });

        static TransformerOptions With(LayerVariant variant) => Options() with { Variants = [variant] };

        static void Expect(string message, TransformerOptions options, int memoryWidth = 0)
        {
            var error = Assert.Throws<RecipeException>(() =>
                new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal, memoryWidth)
            );
            Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Layers_and_mixers_that_do_not_fit_each_other_are_told_with_their_place()
    {
        var lstm = new Dictionary<string, MixerOptions> { ["slow"] = new LstmMixerOptions(), ["quick"] = new LstmMixerOptions() };
        Expect("model.decoder.layers: names 'lstn'; allowed: attention, ", Options() with { Layers = LayerPattern.Parse("lstn, attention") });
        Expect(
            "model.decoder.mixers.quick: is the mixer of no layer; layers is slow, attention",
            Options() with { Layers = LayerPattern.Parse("slow, attention"), Mixers = lstm });
        Expect("model.decoder.mixers.slow: is the mixer of no layer; layers is 2", Options() with { Mixers = lstm });
        foreach (var (position, kind) in (ReadOnlySpan<(PositionOptions, string)>)[(new AlibiOptions(), "alibi"), (new RotaryOptions(), "rotary")])
            Expect($"model.decoder.position.kind: is {kind}; allowed: a kind that is added to embeddings", Options() with { Position = position });

        static void Expect(string message, TransformerOptions options) => Assert.StartsWith(
            message,
            Assert.Throws<RecipeException>(() => new Transformer(options, PartCheck.Builder(Width).At("decoder"), MixerRole.Causal)).Message,
            StringComparison.Ordinal);
    }

    private static TransformerOptions Options() => new()
    {
        Layers = 2, Attention = new MultiHeadOptions(2), FeedForward = new ReluOptions(5), Norm = new RmsNormOptions(Epsilon),
    };
}
