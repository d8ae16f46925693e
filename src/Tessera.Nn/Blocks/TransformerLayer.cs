using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>
/// One layer: attention to its own sequence, to another one where there is one, and a feed-forward, each added to the
/// stream; <see cref="NormPlacement"/> says where the norms are.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>.</para>
/// </summary>
public sealed class TransformerLayer : Module
{
    private readonly float _dropout;
    private readonly float _scale;
    private readonly NormPlacement _normPlacement;
    private readonly Norms _attentionNorms;
    private readonly Attention.Attention _attention;
    private readonly Norms _crossNorms;
    private readonly Attention.Attention? _cross;
    private readonly Norms _feedForwardNorms;
    private readonly FeedForward.FeedForward _feedForward;
    private readonly Func<Tensor, ForwardContext, Tensor> _compute;

    /// <summary>Builds a layer.</summary>
    /// <param name="options">What it is made of.</param>
    /// <param name="part">Width, place and random numbers.</param>
    /// <param name="layer">Which layer it is, from 0: its attention and feed-forward may differ from others'.</param>
    /// <param name="role">Bidirectional for an encoder, causal for a decoder.</param>
    /// <param name="memoryWidth">The width of what cross-attention reads; 0: there is no cross-attention.</param>
    internal TransformerLayer(TransformerOptions options, PartBuilder part, int layer, AttentionRole role, int memoryWidth)
    {
        var isParallel = options.NormPlacement is NormPlacement.Parallel or NormPlacement.ParallelOneNorm;
        part.Require(!isParallel || memoryWidth == 0, "normPlacement", options.NormPlacement, "a form whose parts follow one another, where there is cross-attention");
        (_dropout, _scale, _normPlacement) = (options.Dropout, options.ResidualScale, options.NormPlacement);
        var (attention, attentionPath) = options.AttentionOf(layer);
        var (feedForward, feedForwardPath) = options.FeedForwardOf(layer);

        _attentionNorms = OwnNorms("input_norm", "attention_output_norm");
        _attention = Own("attention", attention.Build(part.At(attentionPath), role));
        if (memoryWidth > 0)
        {
            _crossNorms = OwnNorms("cross_norm", "cross_output_norm");
            var (cross, crossPath) = options.CrossAttention is { } own ? (own, "crossAttention") : (attention, attentionPath);
            _cross = Own("cross_attention", cross.Build(part.At(crossPath).Number(1), AttentionRole.Cross, memoryWidth));
        }

        if (_normPlacement != NormPlacement.ParallelOneNorm) _feedForwardNorms = OwnNorms("feed_forward_norm", "feed_forward_output_norm");
        _feedForward = Own("feed_forward", feedForward.Build(part.At(feedForwardPath)));
        _compute = Compute;

        Norms OwnNorms(string before, string after) => new(
            _normPlacement == NormPlacement.PostNorm ? null : Own(before, options.Norm.Build(part.At("norm"))),
            _normPlacement is NormPlacement.PostNorm or NormPlacement.Sandwich ? Own(after, options.Norm.Build(part.At("norm"))) : null);
    }

    /// <summary>[batch, length, width] to the same shape.</summary>
    public Tensor Forward(Tensor x, ForwardContext context) => context is { IsCheckpointed: true, IsTraining: true } ? context.Checkpoint(x, _compute) : Compute(x, context);

    private Tensor Compute(Tensor x, ForwardContext context)
    {
        var input = Before(_attentionNorms, x);
        var attended = _attention.Forward(input, context);
        if (_normPlacement is NormPlacement.Parallel or NormPlacement.ParallelOneNorm)
        {
            var computed = _feedForward.Forward(_normPlacement == NormPlacement.ParallelOneNorm ? input : Before(_feedForwardNorms, x), context);
            return Add(Add(x, attended, context), computed, context);
        }

        x = After(_attentionNorms, x, attended, context);
        if (_cross is not null) x = After(_crossNorms, x, _cross.Forward(Before(_crossNorms, x), context), context);
        return After(_feedForwardNorms, x, _feedForward.Forward(Before(_feedForwardNorms, x), context), context);
    }

    private static Tensor Before(Norms norms, Tensor x) => norms.Before?.Forward(x) ?? x;

    private Tensor After(Norms norms, Tensor x, Tensor y, ForwardContext context) => norms.After is not { } after
        ? Add(x, y, context)
        : _normPlacement == NormPlacement.PostNorm ? after.Forward(Add(x, y, context)) : Add(x, after.Forward(y), context);

    private Tensor Add(Tensor x, Tensor y, ForwardContext context)
    {
        y = context.Dropout(y, _dropout);
        return Op.Add(x, _scale == 1 ? y : Op.Scale(y, _scale));
    }

    /// <summary>The norms around one part.</summary>
    private readonly record struct Norms(Norm? Before, Norm? After);
}
