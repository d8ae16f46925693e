using Tessera.Nn.Attention;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>Options of a stack of <see cref="TransformerLayer"/>; as an encoder <c>"kind": "transformer"</c>.</summary>
public sealed record TransformerOptions : EncoderOptions
{
    /// <summary>How many layers; 1 to 256.</summary>
    public required int Layers { get; init; }

    /// <summary>How tokens look at one another.</summary>
    public required AttentionOptions Attention { get; init; }

    /// <summary>How a decoder looks at its encoder's output; as <see cref="Attention"/> where null.</summary>
    public AttentionOptions? CrossAttention { get; init; }

    /// <summary>What is computed for each token on its own.</summary>
    public required FeedForwardOptions FeedForward { get; init; }

    /// <summary>Layers whose attention or feed-forward differs; where several name a layer, the last counts.</summary>
    public IReadOnlyList<LayerVariant>? Variants { get; init; }

    /// <summary>Where layers have their norms, and whether their parts follow one another.</summary>
    public NormPlacement NormPlacement { get; init; }

    /// <summary>What layers multiply by before they add it to the stream; greater than 0.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>The norms of the layers and at the end.</summary>
    public NormOptions Norm { get; init; } = new RmsNormOptions();

    /// <summary>Positions added to the embeddings; none where null.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>The share of what parts add to the stream, and of the embeddings, that is dropped while training; in [0, 1).</summary>
    public float Dropout { get; init; }

    /// <inheritdoc/>
    public override Encoder Build(PartBuilder part) => new Transformer(this, part, AttentionRole.Bidirectional);

    /// <summary>The attention of a layer.</summary>
    /// <param name="layer">From 0.</param>
    /// <returns>The options and their place below the stack's in the recipe.</returns>
    public (AttentionOptions Options, string Path) AttentionOf(int layer)
    {
        for (var index = (Variants?.Count ?? 0) - 1; index >= 0; index--)
            if (Variants![index] is { Attention: { } own } variant && variant.Has(layer)) return (own, $"variants[{index}].attention");
        return (Attention, "attention");
    }

    /// <summary>The feed-forward of a layer, as <see cref="AttentionOf"/>.</summary>
    /// <param name="layer">From 0.</param>
    /// <returns>The options and their place below the stack's in the recipe.</returns>
    public (FeedForwardOptions Options, string Path) FeedForwardOf(int layer)
    {
        for (var index = (Variants?.Count ?? 0) - 1; index >= 0; index--)
            if (Variants![index] is { FeedForward: { } own } variant && variant.Has(layer)) return (own, $"variants[{index}].feedForward");
        return (FeedForward, "feedForward");
    }
}

/// <summary>A stack of layers, with a norm at the end unless its layers end with one.</summary>
public sealed class Transformer : Encoder
{
    private readonly float _dropout;
    private readonly PositionEncoding? _position;
    private readonly List<TransformerLayer> _layers = [];
    private readonly Norm? _norm;

    /// <summary>Builds the stack.</summary>
    /// <param name="options">What it is made of.</param>
    /// <param name="part">Width, place and random numbers.</param>
    /// <param name="role">Bidirectional for an encoder, causal for a decoder.</param>
    /// <param name="memoryWidth">The width of what cross-attention reads; 0: there is no cross-attention.</param>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    public Transformer(TransformerOptions options, PartBuilder part, AttentionRole role, int memoryWidth = 0)
    {
        part.Require(options.Layers is >= 1 and <= 256, "layers", options.Layers, "1 to 256");
        part.Require(options.Dropout is >= 0 and < 1, "dropout", options.Dropout, "at least 0, below 1");
        part.Require(options.ResidualScale is > 0 and < float.PositiveInfinity, "residualScale", options.ResidualScale, "greater than 0");
        for (var index = 0; index < options.Variants?.Count; index++) options.Variants[index].Check(part.At($"variants[{index}]"));
        _dropout = options.Dropout;
        OutputWidth = part.Width;
        if (options.Position is not null)
        {
            _position = Own("position", options.Position.Build(part.At("position")));
            part.Require(
                _position.ActsOnEmbeddings, "position.kind", options.Position.GetType().Name,
                "a kind that is added to embeddings, such as sinusoidal; rotary positions belong in attention.position");
        }

        var deep = part with { Depth = options.Layers * (memoryWidth > 0 ? 3 : 2) };
        for (var layer = 0; layer < options.Layers; layer++)
            _layers.Add(Own($"layers.{layer}", new TransformerLayer(options, deep.Number(layer), layer, role, memoryWidth)));
        if (options.NormPlacement != NormPlacement.PostNorm) _norm = Own("norm", options.Norm.Build(part.At("norm")));
    }

    /// <inheritdoc/>
    public override int OutputWidth { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        x = context.Dropout(_position?.Embed(x, context) ?? x, _dropout);
        foreach (var layer in _layers)
        {
            context.HiddenStates?.Add(x);
            x = layer.Forward(x, context);
        }

        x = _norm?.Forward(x) ?? x;
        context.HiddenStates?.Add(x);
        return x;
    }
}
