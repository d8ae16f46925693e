using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>
/// One layer: a list of sub-blocks, each added to the hidden states. Usually a mixer of its own sequence, a look at another one where
/// there is one, and a feed-forward; <see cref="NormPlacement"/> says where the norms are.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>.</para>
/// </summary>
public sealed class TransformerLayer : Module
{
    private readonly float _dropout;
    private readonly float _scale;
    private readonly NormPlacement _placement;
    private readonly List<Residual> _residuals = [];
    private readonly Func<Tensor, ForwardContext, Tensor> _compute;

    /// <summary>Builds a layer.</summary>
    /// <param name="options">What it is made of.</param>
    /// <param name="part">Width, place and random numbers.</param>
    /// <param name="layer">Which layer it is, from 0: its mixer and feed-forward may differ from others'.</param>
    /// <param name="role">Bidirectional for an encoder, causal for a decoder.</param>
    /// <param name="memoryWidth">The width of what cross-attention reads; 0: there is no cross-attention.</param>
    internal TransformerLayer(TransformerOptions options, PartBuilder part, int layer, MixerRole role, int memoryWidth)
    {
        (_dropout, _scale, _placement, _compute) = (options.Dropout, options.ResidualScale, options.NormPlacement, Compute);
        part.Require(
            !IsParallel || memoryWidth == 0, "normPlacement", options.NormPlacement,
            "a form whose parts follow one another, where there is cross-attention");
        var blocks = options.BlocksOf(layer);
        var (mixer, mixerPath) = options.MixerOf(layer);
        if (blocks != LayerBlocks.FeedForward)
            Add("input_norm", $"{mixer.PartName}_output_norm", mixer.PartName, () => mixer.Build(part.At(mixerPath), role));
        if (memoryWidth > 0 && blocks == LayerBlocks.All)
        {
            var (cross, path) = options.CrossAttention is { } own
                ? (own, "crossAttention")
                : (options.Attention.ForCross(part.Width), "attention");
            Add("cross_norm", "cross_output_norm", "cross_attention", () =>
                cross.Build(part.At(path).Number(1), MixerRole.Cross, memoryWidth));
        }

        if (blocks == LayerBlocks.Mixer) return;
        var (feedForward, feedForwardPath) = options.FeedForwardOf(layer);
        Add("feed_forward_norm", "feed_forward_output_norm", "feed_forward", () => feedForward.Build(part.At(feedForwardPath)));

        void Add(string before, string after, string name, Func<SubBlock> build)
        {
            var sharesNorm = _placement == NormPlacement.ParallelOneNorm && _residuals.Count > 0;
            var first = _placement is NormPlacement.PostNorm or NormPlacement.ResidualPostNorm || sharesNorm
                ? null
                : Own(before, options.Norm.Build(part.At("norm")));
            var last = _placement is NormPlacement.PostNorm or NormPlacement.ResidualPostNorm or NormPlacement.Sandwich
                ? Own(after, options.Norm.Build(part.At("norm")))
                : null;
            _residuals.Add(new Residual(first, Own(name, build()), last));
        }
    }

    private bool IsParallel => _placement is NormPlacement.Parallel or NormPlacement.ParallelOneNorm;

    /// <summary>Makes, once for all layers of a pass, what layers with the same options share.</summary>
    public void Prepare(ForwardContext context)
    {
        foreach (var residual in _residuals) residual.Block.Prepare(context);
    }

    /// <summary>[batch, length, width] to the same shape.</summary>
    public Tensor Forward(Tensor x, ForwardContext context) =>
        context is { IsCheckpointed: true, IsTraining: true } ? context.Checkpoint(x, _compute) : Compute(x, context);

    private Tensor Compute(Tensor x, ForwardContext context)
    {
        if (IsParallel) return ComputeParallel(x, context);
        foreach (var (before, block, after) in _residuals)
        {
            var y = block.Forward(before?.Forward(x) ?? x, context);
            x = after is null ? Add(x, y, context)
                : _placement == NormPlacement.PostNorm ? after.Forward(Add(x, y, context))
                : Add(x, after.Forward(y), context);
        }

        return x;
    }

    /// <summary>All sub-blocks read what comes in; one without a norm of its own reads what the one before it read.</summary>
    private Tensor ComputeParallel(Tensor x, ForwardContext context)
    {
        var (sum, input) = (x, x);
        foreach (var (before, block, _) in _residuals)
        {
            input = before?.Forward(x) ?? input;
            sum = Add(sum, block.Forward(input, context), context);
        }

        return sum;
    }

    private Tensor Add(Tensor x, Tensor y, ForwardContext context)
    {
        y = context.Dropout(y, _dropout);
        return Op.Add(x, _scale == 1 ? y : Op.Scale(y, _scale));
    }

    /// <summary>A sub-block with the norms around it.</summary>
    private readonly record struct Residual(Norm? Before, SubBlock Block, Norm? After);
}
