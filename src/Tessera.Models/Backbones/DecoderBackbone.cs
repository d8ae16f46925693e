using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Embeddings and causal layers: a place sees those before it.</summary>
public sealed class DecoderBackbone : Backbone
{
    private readonly Transformer _decoder;

    internal DecoderBackbone(DecoderOptions options, PartBuilder part, int vocabulary)
    {
        Embedding = Own(
            "embed_tokens", Table(part.At("embed_tokens"), vocabulary, part.Width, options.EmbeddingScale, options.TieEmbeddings));
        var furtherLayers = Math.Clamp(options.MtpDepth, 0, DecoderModel.MaxMtpDepth);
        _decoder = Own("decoder", new Transformer(options.Decoder, part.At("decoder"), MixerRole.Causal, furtherLayers: furtherLayers));
    }

    /// <inheritdoc/>
    public override int OutputWidth => _decoder.OutputWidth;

    /// <inheritdoc/>
    public override Embedding Embedding { get; }

    /// <inheritdoc/>
    public override Module Decoder => _decoder;

    /// <inheritdoc/>
    public override Tensor Forward(Batch batch, ForwardContext context) => Decode(batch.Inputs, context);

    /// <inheritdoc/>
    internal override Tensor Decode(Tensor inputs, ForwardContext context) => _decoder.Forward(Embedding.Forward(inputs), context);
}
