using Tessera.Nn.Caches;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests;

/// <summary>A small DeepSeek-V3 that predicts two tokens after the next one, against what transformers computes.</summary>
public sealed class MtpModuleTests
{
    private const string Reference = "fixtures/hf/deepseek-v3-mtp";
    private const int Layers = 3;
    private const int Depth = 2;
    private const int Experts = 8;
    private const int Vocabulary = 96;
    private const int Length = 24;

    private static readonly DecoderOptions s_options = new()
    {
        Width = 48, EmbeddingScale = 1, MtpDepth = Depth,
        Decoder = new TransformerOptions
        {
            Layers = Layers,
            Attention = new LatentOptions(4, KvLoraRank: 16, NopeHeadDim: 12, RopeHeadDim: 8, VHeadDim: 12) { QLoraRank = 24 },
            FeedForward = new ExpertsOptions(Experts, 3, new SwiGluOptions(24), Shared: 1)
            {
                Router = new SigmoidRouterOptions { Scale = 2.5f, Groups = 4, ActiveGroups = 2 },
            },
            Variants = [new LayerVariant { Last = 0, FeedForward = new SwiGluOptions(64) }],
        },
    };

    [SharedFact(Reference)]
    public void Logits_of_every_depth_the_loss_and_its_gradients_are_those_of_the_reference()
    {
        using var scope = Arena.Current.Scope();
        var (weights, expected) = (Open("model.safetensors"), Open("expected.safetensors"));
        var model = (DecoderModel)s_options.Build(Vocabulary, 1);
        foreach (var (name, parameter) in model.Parameters()) Read(weights, name).CopyTo(parameter.Value.Floats);
        var batch = BatchOf(expected.Ints("batch.input_ids"));

        Compare("logits", expected.Floats("batch.logits"), model.Logits(batch, StepOf(batch)).ToArray(), 5e-5);
        var later = model.MtpLogits(batch, StepOf(batch));
        for (var depth = 0; depth < Depth; depth++)
        {
            var places = Length - 1 - depth; // ours has as many places as there are tokens
            var found = later[depth].ToArray().Chunk(Length * Vocabulary).SelectMany(row => row[..(places * Vocabulary)]);
            Compare($"logits {depth}", expected.Floats($"mtp.{depth}.logits"), [.. found], 5e-5);
        }

        using var tape = Tape.Record();
        var step = StepOf(batch);
        step.IsTraining = true;
        var loss = model.Loss(batch, step);
        var extra = step.Losses.Single(part => part.Name == "mtp").Loss;
        Assert.Equal(expected.Floats("main.loss")[0], loss.Item(), 1e-5);
        Assert.Equal((expected.Floats("mtp.0.loss")[0] + expected.Floats("mtp.1.loss")[0]) / 2, extra.Item(), 1e-5);
        var total = Op.Add(loss, Op.Scale(extra, 0.3f));
        Assert.Equal(expected.Floats("batch.loss")[0], total.Item(), 1e-5);
        tape.Backward(total);
        foreach (var (name, parameter) in model.Parameters().Where(own => own.Parameter.IsTrained))
        {
            var gradient = Read(expected, name, "grad.");
            Compare(name, gradient, parameter.Value.Gradient.ToArray(), 1e-4 * gradient.Max(Math.Abs));
        }
    }

    [Fact]
    public void Targets_beyond_a_packed_sequence_do_not_count()
    {
        using var scope = Arena.Current.Scope();
        var model = s_options.Build(Vocabulary, 1);
        int[] ids = [5, 6, 7, 8, 9, 10];
        var alone = Later(BatchOf(ids, [6, 7, 8, 9, 10, 11]));

        // The same sequence behind another one, which predicts nothing.
        var packed = BatchOf([5, 6, 7, .. ids], [-1, -1, -1, 6, 7, 8, 9, 10, 11], [0, 1, 2, 0, 1, 2, 3, 4, 5]);
        packed.Segments = Tensor.From([0, 0, 0, 1, 1, 1, 1, 1, 1], [1, 9]);
        Assert.Equal(alone, Later(packed), 1e-5);

        float Later(Batch batch)
        {
            var step = StepOf(batch);
            step.IsTraining = true;
            model.Loss(batch, step);
            return step.Losses.Single(part => part.Name == "mtp").Loss.Item();
        }
    }

    [Fact]
    public void Decoding_keeps_no_cache_for_later_tokens()
    {
        var without = (s_options with { MtpDepth = 0 }).Build(Vocabulary, 1);
        Assert.Equal(CacheSet.BytesOf(without.Decoder, 9, 0), CacheSet.BytesOf(s_options.Build(Vocabulary, 1).Decoder, 9, 0));
    }

    [Theory]
    [InlineData(2.5f, 0)]
    [InlineData(1, 1.5f)]
    [InlineData(0.5f, 2)]
    public void Logits_are_scaled_and_capped_alike_in_training_and_decoding(float scale, float cap)
    {
        using var scope = Arena.Current.Scope();
        var options = SmallModels.All["decoder"] with { LogitScale = 3 };
        int[] ids = [4, 5, 6, 7];
        var batch = BatchOf(ids, [5, 6, 7, 8]);
        var plain = (SmallModels.All["decoder"]).Build(SmallModels.Vocabulary, 1).Logits(batch, StepOf(batch)).ToArray();
        var model = (options with { LogitScale = scale, LogitSoftCap = cap }).Build(SmallModels.Vocabulary, 1);
        float[] expected = [.. plain.Select(logit => cap == 0 ? scale * logit : cap * MathF.Tanh(scale * logit / cap))];
        Compare("logits", expected, model.Logits(batch, StepOf(batch)).ToArray(), 1e-5);

        var rows = new DecodedRows(model, ids);
        Compare("next", expected[(3 * SmallModels.Vocabulary)..], rows.Next(ids).ToArray(), 1e-5);
        var logits = Tensor.From(expected, [4, SmallModels.Vocabulary]);
        var loss = Enumerable.Range(0, 4).Average(row => SmallModels.CrossEntropy(logits, row, 5 + row));
        Assert.Equal(loss, model.Loss(batch, StepOf(batch)).Item(), 1e-5);
    }

    [Fact]
    public void Options_that_cannot_be_are_named()
    {
        Expect("model.mtpDepth: is 17; allowed: 0 to 16", s_options with { MtpDepth = 17 });
        Expect("model.embeddingScale: is 0; allowed: greater than 0", s_options with { EmbeddingScale = 0 });
        Expect("model.logitScale: is -1; allowed: greater than 0", s_options with { LogitScale = -1 });
        Expect("model.logitSoftCap: is -1; allowed: 0 (none) or above", s_options with { LogitSoftCap = -1 });

        static void Expect(string message, ModelOptions options) =>
            Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(Vocabulary, 1)).Message);
    }

    private static ReferenceTensors Open(string file) => new(Path.Combine(Fixture.Shared(Reference)!, file));

    private static Batch BatchOf(int[] ids)
    {
        int[] targets = [.. Enumerable.Range(0, ids.Length).Select(i => (i + 1) % Length == 0 ? -1 : ids[i + 1])];
        var positions = Batch.PositionsFromStart(ids.Length / Length, Length);
        return new Batch
        {
            Inputs = Tensor.From(ids, positions.Shape), Targets = Tensor.From(targets, positions.Shape), Positions = positions,
            TargetTokens = targets.Count(target => target >= 0), Tokens = ids.Length,
        };
    }

    private static Batch BatchOf(int[] ids, int[] targets, int[]? positions = null) => new()
    {
        Inputs = Tensor.From(ids, [1, ids.Length]), Targets = Tensor.From(targets, [1, ids.Length]),
        Positions = positions is null ? Batch.PositionsFromStart(1, ids.Length) : Tensor.From(positions, [1, ids.Length]),
        TargetTokens = targets.Count(target => target >= 0), Tokens = ids.Length,
    };

    private static ForwardContext StepOf(Batch batch) => new() { Positions = batch.Positions, Segments = batch.Segments };

    /// <summary>What a checkpoint has under its own names for one of our parameters.</summary>
    private static float[] Read(ReferenceTensors file, string name, string before = "")
    {
        if (name == "lm_head.weight") return file.Floats(before + name);
        var parts = name.Split('.');
        var theirs =
            "model."
            + name.Replace("decoder.", "", StringComparison.Ordinal)
                .Replace($"mtp.{parts[1]}.layer.", $"layers.{LayerOf()}.", StringComparison.Ordinal)
                .Replace($"mtp.{parts[1]}.", $"layers.{LayerOf()}.", StringComparison.Ordinal)
                .Replace(".attention.", ".self_attn.", StringComparison.Ordinal)
                .Replace("input_norm", "input_layernorm", StringComparison.Ordinal)
                .Replace("feed_forward_norm", "post_attention_layernorm", StringComparison.Ordinal)
            .Replace("feed_forward.router.", "mlp.", StringComparison.Ordinal).Replace("feed_forward.", "mlp.", StringComparison.Ordinal);
        return theirs.Contains(".mlp.experts.", StringComparison.Ordinal)
            ?
            [
                .. Enumerable
                    .Range(0, Experts)
                    .SelectMany(expert =>
                        file.Floats(before + theirs.Replace(".experts.", $".experts.{expert}.", StringComparison.Ordinal) + ".weight")
                    ),
            ]
            : file.Floats(before + theirs);

        int LayerOf() => parts[0] == "mtp" ? Layers + int.Parse(parts[1]) : 0;
    }

    private static void Compare(string what, float[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        var largest = expected.Zip(found, (left, right) => Math.Abs((double)left - right)).Max();
        Assert.True(largest <= tolerance, $"{what}: the largest difference is {largest:E2}, above {tolerance:E2}");
    }
}
