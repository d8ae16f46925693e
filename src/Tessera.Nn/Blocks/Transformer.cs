using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

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
    /// <param name="furtherLayers">How many layers of multi-token prediction are made by the same options.</param>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    public Transformer(TransformerOptions options, PartBuilder part, MixerRole role, int memoryWidth = 0, int furtherLayers = 0)
    {
        part.Require(options.Dropout is >= 0 and < 1, "dropout", options.Dropout, "at least 0, below 1");
        part.Require(options.ResidualScale is > 0 and < float.PositiveInfinity, "residualScale", options.ResidualScale, "greater than 0");
        options.Check(part, furtherLayers);
        _dropout = options.Dropout;
        OutputWidth = part.Width;
        if (options.Position is not null)
        {
            _position = Own("position", options.Position.Build(part.At("position")));
            part.Require(
                _position.ActsOnEmbeddings, "position.kind", Parts.NameOf(options.Position),
                "a kind that is added to embeddings, such as sinusoidal; rotary positions belong in attention.position");
        }

        var deep = part with { Depth = options.Layers * (memoryWidth > 0 ? 3 : 2), SharedPositions = [] };
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
        foreach (var layer in _layers) layer.Prepare(context);
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
