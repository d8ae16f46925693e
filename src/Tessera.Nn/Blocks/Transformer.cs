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

    /// <summary>The norms before each part and at the end.</summary>
    public NormOptions Norm { get; init; } = new RmsNormOptions();

    /// <summary>Positions added to the embeddings; none where null.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>The share of what parts add to the stream, and of the embeddings, that is dropped while training; in [0, 1).</summary>
    public float Dropout { get; init; }

    /// <inheritdoc/>
    public override Encoder Build(PartBuilder part) => new Transformer(this, part, AttentionRole.Bidirectional);
}

/// <summary>A stack of layers with a norm at the end.</summary>
public sealed class Transformer : Encoder
{
    private readonly float _dropout;
    private readonly PositionEncoding? _position;
    private readonly List<TransformerLayer> _layers = [];
    private readonly Norm _norm;

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
            _layers.Add(Own($"layers.{layer}", new TransformerLayer(options, deep.Number(layer), role, memoryWidth)));
        _norm = Own("norm", options.Norm.Build(part.At("norm")));
    }

    /// <inheritdoc/>
    public override int OutputWidth { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, Step step)
    {
        x = step.Dropout(_position?.Embed(x, step) ?? x, _dropout);
        foreach (var layer in _layers) x = layer.Forward(x, step);
        return _norm.Forward(x);
    }
}
