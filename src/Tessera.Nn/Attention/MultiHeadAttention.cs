using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Options of <see cref="MultiHeadAttention"/>; <c>"kind": "multi-head"</c> in a recipe.</summary>
/// <param name="Heads">Query heads; 1 to 65,536.</param>
public sealed record MultiHeadOptions(int Heads) : MaskedOptions(Heads)
{
    /// <inheritdoc/>
    public override Attention Build(PartBuilder part, AttentionRole role, int memoryWidth = 0) =>
        new MultiHeadAttention(this, part, role, memoryWidth);
}

/// <summary>
/// Attention to everything the role allows. Cost O(n²), cache O(n).
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.2.2; fewer key heads: Ainslie et al.
/// 2023, <see href="https://arxiv.org/abs/2305.13245"/>.</para>
/// </summary>
public sealed class MultiHeadAttention : MaskedAttention
{
    internal MultiHeadAttention(MultiHeadOptions options, PartBuilder part, AttentionRole role, int memoryWidth)
        : base(options, part, role, memoryWidth)
    {
    }

    /// <inheritdoc/>
    protected override BlockMask Narrow(BlockMask mask) => mask;
}
