using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Generation.Tests;

/// <summary>Small models with random weights, and what they say computed without incremental decoding.</summary>
internal static class TinyModel
{
    private const string Decoder = """
        { "layers": 1, "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } }, "feedForward": { "kind": "swiglu", "hidden": 24 } }
        """;

    /// <summary>A model that translates, or one that continues.</summary>
    public static SequenceModel Build(bool readsSource, int vocabulary, ulong seed)
    {
        var options = readsSource
            ? $$"""{ "kind": "encoder-decoder", "width": 16, "tieEmbeddings": true, "encoder": { "kind": "lstm", "layers": 1, "hidden": 8, "bidirectional": true }, "decoder": {{Decoder}} }"""
            : $$"""{ "kind": "decoder", "width": 16, "tieEmbeddings": true, "decoder": {{Decoder}} }""";
        var model = Options(options).Build(vocabulary, seed);
        // Fresh weights say much the same after every prompt; larger ones make the logits differ.
        foreach (var (_, parameter) in model.Parameters())
            foreach (ref var weight in parameter.Value.Floats) weight *= 1.7f;
        return model;
    }

    /// <summary>A model that continues, whose positions are marked otherwise in sequences of more than four tokens, or ever longer
    /// ones.</summary>
    /// <param name="scaling">How positions are stretched.</param>
    /// <param name="seed">Where its weights come from.</param>
    public static SequenceModel Stretched(RotaryScaling scaling, ulong seed)
    {
        var attention = new MultiHeadOptions(2) { Position = new RotaryOptions(50) { Scaling = scaling } };
        var options = new DecoderOptions
        {
            Width = 16,
            TieEmbeddings = true,
            Decoder = new TransformerOptions
            {
                Layers = 2,
                Attention = attention,
                FeedForward = new SwiGluOptions(24),
            },
        };
        var model = options.Build(12, seed);
        foreach (var (_, parameter) in model.Parameters())
            foreach (ref var weight in parameter.Value.Floats) weight *= 1.7f;
        return model;
    }

    public static ModelOptions Options(string json) => RecipeJson.Read<ModelOptions>(RecipeJson.Parse(json, "test"));

    /// <summary>The log-probabilities of the token after a prompt and what was generated, in one pass over all of it.</summary>
    public static double[] LogProbabilities(SequenceModel model, int[] prompt, IEnumerable<int> generated)
    {
        int[] read = model.ReadsSource ? [SpecialTokens.Begin, .. generated] : [.. prompt, .. generated];
        using var scope = Arena.Current.Scope();
        var sequence = new DecodingSession(model) is var session && model.ReadsSource ? session.Add(prompt) : session.Add();
        sequence.Read(read);
        var logits = session.Step().Floats.ToArray();
        var total = logits.Max() + Math.Log(logits.Sum(logit => Math.Exp(logit - logits.Max())));
        return [.. logits.Select(logit => logit - total)];
    }

    /// <summary>The sum of the log-probabilities of tokens after a prompt, by the loss that training uses: no cache anywhere.</summary>
    public static double Score(SequenceModel model, int[] prompt, IReadOnlyList<int> tokens)
    {
        using var scope = Arena.Current.Scope();
        using var pause = Tape.Pause();
        int[] read = model.ReadsSource ? [SpecialTokens.Begin, .. tokens.SkipLast(1)] : [.. prompt, .. tokens.SkipLast(1)];
        int[] targets = [.. Enumerable.Repeat(-1, read.Length - tokens.Count), .. tokens];
        var positions = Batch.PositionsFrom([0], read.Length);
        var batch = new Batch
        {
            Inputs = Row(read), Targets = Row(targets), Positions = positions, TargetTokens = tokens.Count, Tokens = read.Length,
            Source = model.ReadsSource ? Row(prompt) : null, SourceLengths = model.ReadsSource ? Row([prompt.Length]).Reshape([1]) : null,
        };
        return -model.Loss(batch, new ForwardContext { Positions = positions }).Item() * (double)tokens.Count;
    }

    private static Tensor Row(int[] values)
    {
        var row = Tensor.Temporary([1, values.Length], ElementType.I32);
        values.CopyTo(row.Ints);
        return row;
    }
}
