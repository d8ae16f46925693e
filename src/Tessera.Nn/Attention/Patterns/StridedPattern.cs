using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>
/// A query sees its last <c>s</c> keys, and of all others the last of each stretch of <c>s</c>: <c>i − j &lt; s</c> or
/// <c>(j + 1) mod s = 0</c>; the "fixed" pattern of Sparse Transformers. Cost O(n·s + n²/s) pairs, cache O(n).
/// <c>"pattern": "strided"</c> in a recipe.
/// <para>Child, Gray, Radford, Sutskever 2019, <see href="https://arxiv.org/abs/1904.10509"/>, section 4.3.</para>
/// </summary>
/// <param name="Stride">s, at least 1; about the square root of the model's length unless said.</param>
public sealed record StridedPattern(int? Stride = null) : AttentionPattern
{
    /// <inheritdoc/>
    public override BlockMask Narrow(BlockMask mask, PatternContext context)
    {
        var stride = StrideIn(context);
        var near = context.Role == MixerRole.Causal ? mask.Within(stride) : mask.Around(stride - 1);
        return near.Or(mask.Strided(stride));
    }

    /// <inheritdoc/>
    public override double MeanVisibleKeys(int length, PatternContext context)
    {
        var full = new FullPattern().MeanVisibleKeys(length, context);
        return Math.Min(full, new WindowPattern(StrideIn(context)).MeanVisibleKeys(length, context) + (full / StrideIn(context)));
    }

    /// <inheritdoc/>
    public override void Check(PartBuilder part, MixerRole role)
    {
        part.Require(Stride is null or >= 1, "stride", Stride, "at least 1");
        RequireSelf(part, role, "strided");
    }

    private int StrideIn(PatternContext context) => Stride ?? Math.Max(1, (int)Math.Sqrt(context.Length));
}
