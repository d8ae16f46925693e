using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>
/// A query sees everything that its role allows. Cost O(n²), cache O(n). <c>"pattern": "full"</c> in a recipe, and the default.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.2.</para>
/// </summary>
public sealed record FullPattern : AttentionPattern
{
    /// <inheritdoc/>
    public override BlockMask Narrow(BlockMask mask, PatternContext context) => mask;

    /// <inheritdoc/>
    public override double MeanVisibleKeys(int length, PatternContext context) =>
        context.Role == MixerRole.Causal ? (length + 1) / 2.0 : length;
}
