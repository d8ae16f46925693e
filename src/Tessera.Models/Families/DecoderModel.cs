using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Heads;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Options of <see cref="DecoderModel"/>; <c>"kind": "decoder"</c> in a recipe.</summary>
public sealed record DecoderOptions : ModelOptions
{
    /// <summary>The layers.</summary>
    public required TransformerOptions Decoder { get; init; }

    /// <summary>How many tokens after the next one each place learns to predict too (<see cref="MtpModule"/>); 0 to 16. Training
    /// reports their loss as <c>mtp</c>; decoding does not use them.</summary>
    public int MtpDepth { get; init; }

    /// <inheritdoc/>
    protected override SequenceModel Build(PartBuilder part, int vocabulary) => new DecoderModel(this, part, vocabulary);
}

/// <summary>
/// A language model, unless its head is another one: embeddings, causal layers, logits. While training it may predict further tokens
/// than the next.
/// <para>Radford et al. 2018, "Improving language understanding by generative pre-training".</para>
/// </summary>
public sealed class DecoderModel : SequenceModel
{
    /// <summary>The greatest depth of multi-token prediction.</summary>
    internal const int MaxMtpDepth = 16;

    private readonly List<MtpModule> _mtp = [];

    internal DecoderModel(DecoderOptions options, PartBuilder part, int vocabulary)
        : base(options, part, new DecoderBackbone(options, part, vocabulary), vocabulary)
    {
        part.Require(options.MtpDepth is >= 0 and <= MaxMtpDepth, "mtpDepth", options.MtpDepth, $"0 to {MaxMtpDepth}");
        part.Require(options.MtpDepth == 0 || Head is TokensHead, "mtpDepth", options.MtpDepth, "0, where the head is not one of tokens");
        for (var depth = 0; depth < options.MtpDepth; depth++)
            _mtp.Add(
                Own(
                    $"mtp.{depth}",
                    new MtpModule(
                        options.Decoder,
                        part.At("mtp").Number(depth) with
                        {
                            Path = $"{part.Path}.decoder",
                        },
                        options.Decoder.Layers + depth)));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> OfferedLosses => _mtp.Count > 0 ? ["mtp"] : [];

    /// <summary>The logits of the tokens after the next one: entry k holds at place i those of token i + k + 2. The last k + 1
    /// places of each sequence have no such token, and mean nothing.</summary>
    /// <param name="batch">Its inputs are read.</param>
    /// <param name="context">Its positions are the batch's.</param>
    /// <returns>[batch, length, vocabulary] for each of the model's further tokens.</returns>
    public IReadOnlyList<Tensor> MtpLogits(Batch batch, ForwardContext context)
    {
        var (hidden, logits) = (Hidden(batch, context), new List<Tensor>());
        for (var depth = 0; depth < _mtp.Count; depth++)
        {
            hidden = MtpHidden(depth, hidden, batch, context);
            logits.Add(Head.Logits(hidden, context));
        }

        return logits;
    }

    /// <inheritdoc/>
    protected override void AddLosses(Tensor hidden, Batch batch, ForwardContext context, CrossEntropySettings settings)
    {
        if (_mtp.Count == 0 || !context.Wants("mtp")) return;
        Tensor? sum = null;
        for (var depth = 0; depth < _mtp.Count; depth++)
        {
            hidden = MtpHidden(depth, hidden, batch, context);
            var loss = Head.Loss(hidden, Ahead(batch.Targets, depth + 1, -1, batch.Segments), context, settings);
            sum = sum is null ? loss : Op.Add(sum, loss);
        }

        context.AddLoss("mtp", Op.Scale(sum!, 1f / _mtp.Count));
    }

    private Tensor MtpHidden(int depth, Tensor hidden, Batch batch, ForwardContext context) =>
        _mtp[depth].Forward(hidden, Backbone.Embedding.Forward(Ahead(batch.Inputs, depth + 1, 0, segments: null)), context);

    /// <summary>What stands so many places further on in each row, or nothing where that is beyond the row or the segment.</summary>
    private static Tensor Ahead(Tensor ids, int distance, int nothing, Tensor? segments)
    {
        var ahead = Tensor.Temporary(ids.Shape, ElementType.I32);
        var length = ids.Shape[1];
        for (var i = 0; i < ahead.Ints.Length; i++)
        {
            var isThere = (i % length) + distance < length && (segments is null || segments.Ints[i] == segments.Ints[i + distance]);
            ahead.Ints[i] = isThere ? ids.Ints[i + distance] : nothing;
        }

        return ahead;
    }
}
