using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Caches;
using Tessera.Nn.Weights;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

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
    private readonly Embedding _sourceEmbedding;
    private readonly Encoder _encoder;
    private readonly Embedding _targetEmbedding;
    private readonly Transformer _decoder;
    private readonly Weight _head;

    internal EncoderDecoderModel(EncoderDecoderOptions options, PartBuilder part, int vocabulary) : base(options, vocabulary)
    {
        var sourceWidth = options.SourceWidth ?? part.Width;
        part.Require(sourceWidth is >= 1 and <= 65536, "sourceWidth", sourceWidth, "1 to 65536");
        part.Require(
            !options.ShareEmbeddings || sourceWidth == part.Width, "shareEmbeddings", "true", $"only where sourceWidth, {sourceWidth}, is width, {part.Width}");

        _sourceEmbedding = Own("source_embed", Embeddings.Of(part.At("source_embed"), vocabulary, sourceWidth, options.EmbeddingScale));
        _encoder = Own("encoder", options.Encoder.Build(part.At("encoder") with { Width = sourceWidth }));
        _targetEmbedding = options.ShareEmbeddings
            ? _sourceEmbedding
            : Own("target_embed", Embeddings.Of(part.At("target_embed"), vocabulary, part.Width, options.EmbeddingScale));
        _decoder = Own("decoder", new Transformer(options.Decoder, part.At("decoder"), MixerRole.Causal, _encoder.OutputWidth));
        _head = Own("lm_head.weight", Embeddings.Head(part, _targetEmbedding, vocabulary, options.TieEmbeddings));
    }

    /// <inheritdoc/>
    public override bool ReadsSource => true;

    /// <inheritdoc/>
    public override Module Decoder => _decoder;

    /// <inheritdoc/>
    protected override Weight Head => _head;

    /// <inheritdoc/>
    internal override void Remember(IReadOnlyList<int[]> sources, ReadOnlySpan<int> sequences, CacheSet caches)
    {
        var longest = sources.Max(source => source.Length);
        var (ids, lengths) = (Tensor.Temporary([sources.Count, longest], ElementType.I32), Tensor.Temporary([sources.Count], ElementType.I32));
        ids.Ints.Clear(); // padding
        for (var row = 0; row < sources.Count; row++)
        {
            sources[row].CopyTo(ids.Ints[(row * longest)..]);
            lengths.Ints[row] = sources[row].Length;
        }

        var pass = ForwardContext.At(Batch.PositionsFromStart(1, 1));
        var memory = Encode(ids, lengths, pass);
        foreach (var (_, part) in _decoder.Modules())
            if (part is IReadsMemory reader) reader.Remember(memory, lengths.Ints, sequences, caches, pass);
    }

    /// <inheritdoc/>
    protected override Tensor Hidden(Batch batch, ForwardContext context)
    {
        var source = batch.Source ?? throw new ArgumentException("an encoder-decoder needs a batch with sources", nameof(batch));
        context.Memory = Encode(source, batch.SourceLengths, context);
        context.MemoryLengths = batch.SourceLengths;
        return Decode(batch.Inputs, context);
    }

    /// <inheritdoc/>
    protected override Tensor Decode(Tensor inputs, ForwardContext context) => _decoder.Forward(_targetEmbedding.Forward(inputs), context);

    private Tensor Encode(Tensor source, Tensor? lengths, ForwardContext context)
    {
        var positions = Batch.PositionsFromStart(source.Shape[0], source.Shape[1]);
        return _encoder.Forward(_sourceEmbedding.Forward(source), context.Of("encoder", positions, lengths));
    }
}
