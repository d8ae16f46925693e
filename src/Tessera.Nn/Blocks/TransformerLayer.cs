using Tessera.Nn.Attention;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>
/// One layer: attention to its own sequence, to another one where there is one, and a feed-forward, each added to the
/// stream after a norm of its input: <c>x ← x + part(norm(x))</c>.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>; norms first: Xiong et al. 2020,
/// <see href="https://arxiv.org/abs/2002.04745"/>.</para>
/// </summary>
public sealed class TransformerLayer : Module
{
    private readonly float _dropout;
    private readonly Norm _attentionNorm;
    private readonly Attention.Attention _attention;
    private readonly Norm? _crossNorm;
    private readonly Attention.Attention? _cross;
    private readonly Norm _feedForwardNorm;
    private readonly FeedForward.FeedForward _feedForward;

    /// <summary>Builds a layer.</summary>
    /// <param name="options">What it is made of.</param>
    /// <param name="part">Width, place and random numbers.</param>
    /// <param name="role">Bidirectional for an encoder, causal for a decoder.</param>
    /// <param name="memoryWidth">The width of what cross-attention reads; 0: there is no cross-attention.</param>
    internal TransformerLayer(TransformerOptions options, PartBuilder part, AttentionRole role, int memoryWidth)
    {
        _dropout = options.Dropout;
        _attentionNorm = Own("input_norm", options.Norm.Build(part.At("norm")));
        _attention = Own("attention", options.Attention.Build(part.At("attention"), role));
        if (memoryWidth > 0)
        {
            _crossNorm = Own("cross_norm", options.Norm.Build(part.At("norm")));
            var cross = options.CrossAttention ?? options.Attention;
            var path = options.CrossAttention is null ? "attention" : "crossAttention";
            _cross = Own("cross_attention", cross.Build(part.At(path).Number(1), AttentionRole.Cross, memoryWidth));
        }

        _feedForwardNorm = Own("feed_forward_norm", options.Norm.Build(part.At("norm")));
        _feedForward = Own("feed_forward", options.FeedForward.Build(part.At("feedForward")));
    }

    /// <summary>[batch, length, width] to the same shape.</summary>
    public Tensor Forward(Tensor x, Step step)
    {
        x = Op.Add(x, step.Dropout(_attention.Forward(_attentionNorm.Forward(x), step), _dropout));
        if (_cross is not null) x = Op.Add(x, step.Dropout(_cross.Forward(_crossNorm!.Forward(x), step), _dropout));
        return Op.Add(x, step.Dropout(_feedForward.Forward(_feedForwardNorm.Forward(x), step), _dropout));
    }
}
