using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>
/// One layer: attention to its own sequence, to another one where there is one, and a feed-forward, each added to the
/// stream; <see cref="BlockForm"/> says where the norms are.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>.</para>
/// </summary>
public sealed class TransformerLayer : Module
{
    private readonly float _dropout;
    private readonly float _scale;
    private readonly BlockForm _form;
    private readonly Norms _attentionNorms;
    private readonly Attention.Attention _attention;
    private readonly Norms _crossNorms;
    private readonly Attention.Attention? _cross;
    private readonly Norms _feedForwardNorms;
    private readonly FeedForward.FeedForward _feedForward;
    private readonly Func<Tensor, Step, Tensor> _compute;

    /// <summary>Builds a layer.</summary>
    /// <param name="options">What it is made of.</param>
    /// <param name="part">Width, place and random numbers.</param>
    /// <param name="layer">Which layer it is, from 0: its attention and feed-forward may differ from others'.</param>
    /// <param name="role">Bidirectional for an encoder, causal for a decoder.</param>
    /// <param name="memoryWidth">The width of what cross-attention reads; 0: there is no cross-attention.</param>
    internal TransformerLayer(TransformerOptions options, PartBuilder part, int layer, AttentionRole role, int memoryWidth)
    {
        var isParallel = options.Form is BlockForm.Parallel or BlockForm.ParallelOneNorm;
        part.Require(!isParallel || memoryWidth == 0, "form", options.Form, "a form whose parts follow one another, where there is cross-attention");
        (_dropout, _scale, _form) = (options.Dropout, options.ResidualScale, options.Form);
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

        if (_form != BlockForm.ParallelOneNorm) _feedForwardNorms = OwnNorms("feed_forward_norm", "feed_forward_output_norm");
        _feedForward = Own("feed_forward", feedForward.Build(part.At(feedForwardPath)));
        _compute = Compute;

        Norms OwnNorms(string before, string after) => new(
            _form == BlockForm.PostNorm ? null : Own(before, options.Norm.Build(part.At("norm"))),
            _form is BlockForm.PostNorm or BlockForm.Sandwich ? Own(after, options.Norm.Build(part.At("norm"))) : null);
    }

    /// <summary>[batch, length, width] to the same shape.</summary>
    public Tensor Forward(Tensor x, Step step) => step is { IsCheckpointed: true, IsTraining: true } ? step.Checkpoint(x, _compute) : Compute(x, step);

    private Tensor Compute(Tensor x, Step step)
    {
        var input = Before(_attentionNorms, x);
        var attended = _attention.Forward(input, step);
        if (_form is BlockForm.Parallel or BlockForm.ParallelOneNorm)
        {
            var computed = _feedForward.Forward(_form == BlockForm.ParallelOneNorm ? input : Before(_feedForwardNorms, x), step);
            return Add(Add(x, attended, step), computed, step);
        }

        x = After(_attentionNorms, x, attended, step);
        if (_cross is not null) x = After(_crossNorms, x, _cross.Forward(Before(_crossNorms, x), step), step);
        return After(_feedForwardNorms, x, _feedForward.Forward(Before(_feedForwardNorms, x), step), step);
    }

    private static Tensor Before(Norms norms, Tensor x) => norms.Before?.Forward(x) ?? x;

    private Tensor After(Norms norms, Tensor x, Tensor y, Step step) => norms.After is not { } after
        ? Add(x, y, step)
        : _form == BlockForm.PostNorm ? after.Forward(Add(x, y, step)) : Add(x, after.Forward(y), step);

    private Tensor Add(Tensor x, Tensor y, Step step)
    {
        y = step.Dropout(y, _dropout);
        return Op.Add(x, _scale == 1 ? y : Op.Scale(y, _scale));
    }

    /// <summary>The norms around one part.</summary>
    private readonly record struct Norms(Norm? Before, Norm? After);
}
