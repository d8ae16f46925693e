using Tessera.Nn;
using Tessera.Nn.Blocks;

namespace Tessera.Models;

/// <summary>Options of <see cref="EncoderDecoderModel"/>; <c>"kind": "encoder-decoder"</c> in a recipe.</summary>
public sealed record EncoderDecoderOptions : ModelOptions
{
    /// <summary>What reads the source.</summary>
    public required EncoderOptions Encoder { get; init; }

    /// <summary>What writes the target.</summary>
    public required TransformerOptions Decoder { get; init; }

    /// <summary>The width of the source's embeddings; as the model's where null.</summary>
    public int? SourceWidth { get; init; }

    /// <summary>Whether source and target share one table of embeddings; needs equal widths.</summary>
    public bool ShareEmbeddings { get; init; }

    /// <inheritdoc/>
    protected override SequenceModel Build(PartBuilder part, int vocabulary) => new EncoderDecoderModel(this, part, vocabulary);
}

/// <summary>
/// An encoder reads the source, recurrent or not; a decoder with cross-attention writes the target.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>; a recurrent encoder under a Transformer
/// decoder: Chen et al. 2018, <see href="https://arxiv.org/abs/1804.09849"/>.</para>
/// </summary>
public sealed class EncoderDecoderModel : SequenceModel
{
    internal EncoderDecoderModel(EncoderDecoderOptions options, PartBuilder part, int vocabulary)
        : base(options, part, new EncoderDecoderBackbone(options, part, vocabulary), vocabulary)
    {
    }
}
