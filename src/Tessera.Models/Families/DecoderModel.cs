using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Options of <see cref="DecoderModel"/>; <c>"kind": "decoder"</c> in a recipe.</summary>
public sealed record DecoderOptions : ModelOptions
{
    /// <summary>The layers.</summary>
    public required TransformerOptions Decoder { get; init; }

    /// <inheritdoc/>
    protected override SequenceModel Build(PartBuilder part, int vocabulary) => new DecoderModel(this, part, vocabulary);
}

/// <summary>
/// A language model: embeddings, causal layers, logits.
/// <para>Radford et al. 2018, "Improving language understanding by generative pre-training".</para>
/// </summary>
public sealed class DecoderModel : SequenceModel
{
    private readonly Embedding _embedding;
    private readonly Transformer _decoder;
    private readonly Parameter _head;

    internal DecoderModel(DecoderOptions options, PartBuilder part, int vocabulary) : base(vocabulary)
    {
        _embedding = Own("embed_tokens", Embeddings.Of(part.At("embed_tokens"), vocabulary, part.Width));
        _decoder = Own("decoder", new Transformer(options.Decoder, part.At("decoder"), AttentionRole.Causal));
        _head = Own("lm_head.weight", options.TieEmbeddings ? _embedding.Weight : part.At("lm_head").Matrix("weight", vocabulary, part.Width));
    }

    /// <inheritdoc/>
    public override bool ReadsSource => false;

    /// <inheritdoc/>
    protected override Tensor HeadWeight => _head.Value;

    /// <inheritdoc/>
    public override DecodingState Start(IReadOnlyList<int[]> prompts, int rowsEach, int newTokens)
    {
        var rows = prompts.Count * rowsEach;
        return new DecodingState(new CacheSet(this, new CacheSize(rows, prompts.Max(prompt => prompt.Length) + newTokens)), prompts, rows);
    }

    /// <inheritdoc/>
    protected override Tensor Hidden(Batch batch, Step step) => Decode(batch.Inputs, step);

    /// <inheritdoc/>
    protected override Tensor Decode(Tensor inputs, Step step) => _decoder.Forward(_embedding.Forward(inputs), step);
}
