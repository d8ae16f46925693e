using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>
/// A query sees its own chunk: <c>⌊i / c⌋ = ⌊j / c⌋</c>. Cost O(n·c), cache O(c). <c>"pattern": "chunked"</c> in a recipe.
/// <para>Qiu et al. 2019 (blockwise attention), <see href="https://arxiv.org/abs/1911.02972"/>.</para>
/// </summary>
/// <param name="Chunk">c, at least 1; an eighth of the model's length unless said.</param>
public sealed record ChunkedPattern(int? Chunk = null) : AttentionPattern
{
    /// <inheritdoc/>
    public override BlockMask Narrow(BlockMask mask, PatternContext context) => mask.Chunked(ChunkIn(context));

    /// <inheritdoc/>
    public override KeptTokens Keeps(PatternContext context) => new(ChunkIn(context));

    /// <inheritdoc/>
    public override double MeanVisibleKeys(int length, PatternContext context)
    {
        double chunk = Math.Min(ChunkIn(context), length);
        return context.Role == MixerRole.Causal ? (chunk + 1) / 2 : chunk;
    }

    /// <inheritdoc/>
    public override void Check(PartBuilder part, MixerRole role)
    {
        part.Require(Chunk is null or >= 1, "chunk", Chunk, "at least 1");
        RequireSelf(part, role, "chunked");
    }

    private int ChunkIn(PatternContext context) => Chunk ?? Math.Max(1, context.Length / 8);
}
