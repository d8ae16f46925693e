using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Caches;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>An encoder that reads a source, and causal layers that look at what it says.</summary>
public sealed class EncoderDecoderBackbone : Backbone
{
    private readonly Embedding _sourceEmbedding;
    private readonly Encoder _encoder;
    private readonly Transformer _decoder;

    internal EncoderDecoderBackbone(EncoderDecoderOptions options, PartBuilder part, int vocabulary)
    {
        var sourceWidth = options.SourceWidth ?? part.Width;
        part.Require(sourceWidth is >= 1 and <= 65536, "sourceWidth", sourceWidth, "1 to 65536");
        part.Require(
            !options.ShareEmbeddings || sourceWidth == part.Width, "shareEmbeddings", "true",
            $"only where sourceWidth, {sourceWidth}, is width, {part.Width}");

        _sourceEmbedding = Own("source_embed", Table(
            part.At("source_embed"), vocabulary, sourceWidth, options.EmbeddingScale, options.TieEmbeddings && options.ShareEmbeddings));
        _encoder = Own("encoder", options.Encoder.Build(part.At("encoder") with { Width = sourceWidth }));
        Embedding = options.ShareEmbeddings
            ? _sourceEmbedding
            : Own("target_embed", Table(part.At("target_embed"), vocabulary, part.Width, options.EmbeddingScale, options.TieEmbeddings));
        _decoder = Own("decoder", new Transformer(options.Decoder, part.At("decoder"), MixerRole.Causal, _encoder.OutputWidth));
    }

    /// <inheritdoc/>
    public override int OutputWidth => _decoder.OutputWidth;

    /// <inheritdoc/>
    public override Embedding Embedding { get; }

    /// <inheritdoc/>
    public override bool ReadsSource => true;

    /// <inheritdoc/>
    public override Module Decoder => _decoder;

    /// <inheritdoc/>
    internal override void Remember(IReadOnlyList<int[]> sources, ReadOnlySpan<int> sequences, CacheSet caches)
    {
        var longest = sources.Max(source => source.Length);
        var ids = Tensor.Temporary([sources.Count, longest], ElementType.I32);
        var lengths = Tensor.Temporary([sources.Count], ElementType.I32);
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
    public override Tensor Forward(Batch batch, ForwardContext context)
    {
        var source = batch.Source ?? throw new ArgumentException("an encoder-decoder needs a batch with sources", nameof(batch));
        context.Memory = Encode(source, batch.SourceLengths, context);
        context.MemoryLengths = batch.SourceLengths;
        return Decode(batch.Inputs, context);
    }

    /// <inheritdoc/>
    internal override Tensor Decode(Tensor inputs, ForwardContext context) => _decoder.Forward(Embedding.Forward(inputs), context);

    private Tensor Encode(Tensor source, Tensor? lengths, ForwardContext context)
    {
        var positions = Batch.PositionsFromStart(source.Shape[0], source.Shape[1]);
        return _encoder.Forward(_sourceEmbedding.Forward(source), context.Of("encoder", positions, lengths));
    }
}
