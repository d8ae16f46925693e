using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>
/// A window with gaps: a query sees <c>w</c> keys that are <c>d</c> apart, <c>0 ≤ i − j &lt; w·d</c> with <c>d | i − j</c>, and as many to
/// the other side where tokens see both. Cost and cache O(n·w·d) tiles: what is skipped lies inside of tiles.
/// <c>"pattern": "dilated"</c> in a recipe.
/// <para>Beltagy, Peters, Cohan 2020, <see href="https://arxiv.org/abs/2004.05150"/>, section 3.1.</para>
/// </summary>
/// <param name="Window">Keys that a query sees to a side, its own included, at least 1; a sixteenth of the model's length unless
/// said.</param>
/// <param name="Dilation">How far apart they are; at least 1.</param>
public sealed record DilatedPattern(int? Window = null, int Dilation = 2) : AttentionPattern
{
    /// <inheritdoc/>
    public override BlockMask Narrow(BlockMask mask, PatternContext context)
    {
        var reach = Reach(context);
        var spaced = mask.Spaced(Dilation);
        return context.Role == MixerRole.Causal ? spaced.Within(reach) : spaced.Around(reach - 1);
    }

    /// <inheritdoc/>
    public override KeptTokens Keeps(PatternContext context) => new(Reach(context));

    /// <inheritdoc/>
    public override double MeanVisibleKeys(int length, PatternContext context) =>
        new WindowPattern(Reach(context)).MeanVisibleKeys(length, context) / Dilation;

    /// <inheritdoc/>
    public override void Check(PartBuilder part, MixerRole role)
    {
        part.Require(Window is null or >= 1, "window", Window, "at least 1");
        part.Require(Dilation is >= 1 and <= 65536, "dilation", Dilation, "1 to 65536");
        part.Require((long)(Window ?? 1) * Dilation <= 1 << 30, "window", Window, $"such that window · dilation is at most {1 << 30}");
        RequireSelf(part, role, "dilated");
    }

    private int Reach(PatternContext context) => (Window ?? Math.Max(1, context.Length / 16)) * Dilation;
}
