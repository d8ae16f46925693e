using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Embeddings of tokens, their positions and types, a norm, and an encoder: a place sees all others.</summary>
public sealed class EncoderBackbone : Backbone
{
    private const int MaxTokenTypes = 1024;
    private const double Deviation = 0.02;

    private readonly PositionEncoding? _position;
    private readonly Embedding? _tokenTypes;
    private readonly Norm? _norm;
    private readonly Encoder _encoder;

    internal EncoderBackbone(EncoderModelOptions options, PartBuilder part, int vocabulary)
    {
        Embedding = Own("embed_tokens", Table(part.At("embed_tokens"), vocabulary, part.Width, options.EmbeddingScale, options.TieEmbeddings));
        if (options.Position is not null)
        {
            _position = Own("position", options.Position.Build(part.At("position")));
            part.Require(
                _position.ActsOnEmbeddings, "position.kind", Parts.KindOf(options.Position.GetType()),
                "a kind that is added to embeddings, such as learned; others belong in encoder.attention.position");
        }

        part.Require(options.TokenTypes is >= 0 and <= MaxTokenTypes, "tokenTypes", options.TokenTypes, $"0 (none) to {MaxTokenTypes}");
        if (options.TokenTypes > 0)
            _tokenTypes = Own("token_types", new Embedding(part.At("token_types"), options.TokenTypes, part.Width, deviation: Deviation));
        if (options.EmbeddingNorm is not null) _norm = Own("embed_norm", options.EmbeddingNorm.Build(part.At("embeddingNorm")));
        _encoder = Own("encoder", options.Encoder.Build(part.At("encoder")));
    }

    /// <inheritdoc/>
    public override int OutputWidth => _encoder.OutputWidth;

    /// <inheritdoc/>
    public override Embedding Embedding { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Batch batch, ForwardContext context)
    {
        var x = Embedding.Forward(batch.Inputs);
        x = _position?.Embed(x, context) ?? x;
        if (_tokenTypes is not null) x = Op.Add(x, _tokenTypes.Forward(batch.TokenTypes ?? NoTypes(batch.Inputs.Shape)));
        return _encoder.Forward(_norm?.Forward(x) ?? x, context);
    }

    private static Tensor NoTypes(Shape shape)
    {
        var types = Tensor.Temporary(shape, ElementType.I32);
        types.Ints.Clear();
        return types;
    }
}
