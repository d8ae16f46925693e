using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Heads;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Nn.Recurrence;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

/// <summary>Small models of every kind, and texts to run through them.</summary>
internal static class SmallModels
{
    public const int Vocabulary = 19;
    public const int Width = 8;

    /// <summary>The options by a name, so that tests can list them.</summary>
    public static IReadOnlyDictionary<string, ModelOptions> All { get; } = new Dictionary<string, ModelOptions>
    {
        ["decoder"] = new DecoderOptions { Width = Width, Decoder = Stack() },
        ["tied decoder with experts"] = new DecoderOptions
        {
            Width = Width, TieEmbeddings = true,
            Decoder = Stack() with
            {
                Attention = new MultiHeadOptions(2), Position = new SinusoidalOptions(64),
                FeedForward = new ExpertsOptions(3, 2, new SwiGluOptions(6), Shared: 2) { Router = new TwoStageRouterOptions() },
            },
        },
        ["transformer"] = Translator(new TransformerOptions
        {
            Layers = 2, Attention = new MultiHeadOptions(2) { Position = new RotaryOptions(Positions: 64) }, FeedForward = new GeluOptions(10),
        }),
        ["transformer, shared and tied"] = Translator(new TransformerOptions
        {
            Layers = 1, FeedForward = new ReluOptions(10), Position = new SinusoidalOptions(64),
            Attention = new MultiHeadOptions(2) { Bias = true, Position = new RotaryOptions(Positions: 64) },
        }) with { ShareEmbeddings = true, TieEmbeddings = true },
        ["lstm"] = Translator(new LstmOptions { Layers = 2, Hidden = 5, Bidirectional = true, Residual = true }) with { SourceWidth = 6 },
        ["gru"] = Translator(new GruOptions { Layers = 1, Hidden = 7 }) with { TieEmbeddings = true },
    };

    /// <summary>An encoder in the manner of BERT: it says which token stands at each place, and generates nothing.</summary>
    public static EncoderModelOptions Encoder { get; } = new()
    {
        Width = Width, TieEmbeddings = true, Position = new LearnedOptions(16), TokenTypes = 2, EmbeddingNorm = new LayerNormOptions(),
        Head = new TokensHeadOptions { Bias = true, Transform = new() },
        Encoder = new TransformerOptions
        {
            Layers = 1, FeedForward = new GeluOptions(10) { Bias = true }, Attention = new MultiHeadOptions(2),
            NormPlacement = NormPlacement.PostNorm, Norm = new LayerNormOptions(),
        },
    };

    public static SequenceModel Build(string name, ulong seed = 3) => All[name].Build(Vocabulary, seed);

    /// <summary>A random text of tokens that are not special.</summary>
    public static int[] Text(int length, ulong seed) =>
        [.. Enumerable.Range(0, length).Select(i => 3 + new CounterRandom(seed).Derive("text").Below(Vocabulary - 3, (ulong)i))];

    /// <summary>Rows that predict <paramref name="targets"/> from sources, padded at the end.</summary>
    public static Batch Batch(int[][]? sources, int[][] inputs, int[][] targets)
    {
        return new Batch
        {
            Inputs = Padded(inputs, 0), Targets = Padded(targets, -1),
            Positions = Models.Batch.PositionsFrom(new int[inputs.Length], inputs.Max(row => row.Length)),
            Source = sources is null ? null : Padded(sources, 0),
            SourceLengths = sources is null ? null : Tensor.From([.. sources.Select(row => row.Length)], [sources.Length]),
            TargetTokens = targets.Sum(row => row.Count(token => token >= 0)), Tokens = inputs.Sum(row => row.Length),
        };
    }

    public static float Loss(SequenceModel model, Batch batch) => LossOf(model, batch).Item();

    public static Tensor LossOf(SequenceModel model, Batch batch) =>
        model.Loss(batch, new Nn.ForwardContext { Positions = batch.Positions, Segments = batch.Segments });

    /// <summary>−log softmax(logits)[token] of one row, in double precision.</summary>
    public static double CrossEntropy(Tensor logits, int row, int token)
    {
        var scores = logits.Floats.Slice(row * Vocabulary, Vocabulary).ToArray().Select(score => (double)score).ToArray();
        var largest = scores.Max();
        return largest + Math.Log(scores.Sum(score => Math.Exp(score - largest))) - scores[token];
    }

    private static TransformerOptions Stack() => new()
    {
        Layers = 2, FeedForward = new SwiGluOptions(10),
        Attention = new MultiHeadOptions(4) { KeyValueHeads = 2, Position = new RotaryOptions(Positions: 64) },
    };

    private static EncoderDecoderOptions Translator(EncoderOptions encoder) => new() { Width = Width, Encoder = encoder, Decoder = Stack() };

    private static Tensor Padded(int[][] rows, int padding)
    {
        var length = rows.Max(row => row.Length);
        return Tensor.From([.. rows.SelectMany(row => row.Concat(Enumerable.Repeat(padding, length - row.Length)))], [rows.Length, length]);
    }
}
