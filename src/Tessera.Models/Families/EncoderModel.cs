using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>Options of <see cref="EncoderModel"/>; <c>"kind": "encoder"</c> in a recipe.</summary>
public sealed record EncoderModelOptions : ModelOptions
{
    /// <summary>What reads the embeddings.</summary>
    public required EncoderOptions Encoder { get; init; }

    /// <summary>Positions added to the embeddings, before their norm; none where null. Those of <see cref="Encoder"/> come
    /// after it.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>How many types tokens may have, such as those of two texts that are compared: a vector each, added to the embeddings; 0
    /// (none) to 1,024.</summary>
    public int TokenTypes { get; init; }

    /// <summary>A norm of the sum of all embeddings; none where null.</summary>
    public NormOptions? EmbeddingNorm { get; init; }

    /// <inheritdoc/>
    protected override SequenceModel Build(PartBuilder part, int vocabulary) => new EncoderModel(this, part, vocabulary);
}

/// <summary>
/// A text is read whole, each place seeing all others: with a head of tokens it learns to fill in masked ones, with another to classify, to
/// tag, to find spans or to give a number.
/// <para>Devlin et al. 2018, "BERT", <see href="https://arxiv.org/abs/1810.04805"/>.</para>
/// </summary>
public sealed class EncoderModel : SequenceModel
{
    internal EncoderModel(EncoderModelOptions options, PartBuilder part, int vocabulary)
        : base(options, part, new EncoderBackbone(options, part, vocabulary), vocabulary)
    {
    }
}
