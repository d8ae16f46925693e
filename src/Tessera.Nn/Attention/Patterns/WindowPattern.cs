using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>
/// A query sees the last <c>w</c> keys: those with <c>0 ≤ i − j &lt; w</c>, and <c>|i − j| &lt; w</c> where tokens see both sides. Cost
/// O(n·w), cache O(w). <c>"pattern": "window"</c> in a recipe.
/// <para>Beltagy, Peters, Cohan 2020, <see href="https://arxiv.org/abs/2004.05150"/>, section 3.1; Jiang et al. 2023 (Mistral),
/// <see href="https://arxiv.org/abs/2310.06825"/>.</para>
/// </summary>
/// <param name="Window">Keys that a query sees, its own included, at least 1; an eighth of the model's length unless said.</param>
/// <param name="GlobalTokens">Leading positions that every query sees, and that see everything their role allows; at least 0.</param>
public sealed record WindowPattern(int? Window = null, int GlobalTokens = 0) : AttentionPattern
{
    /// <inheritdoc/>
    public override BlockMask Narrow(BlockMask mask, PatternContext context)
    {
        var window = WindowIn(context);
        var near = context.Role == MixerRole.Causal ? mask.Within(window) : mask.Around(window - 1);
        return GlobalTokens == 0 ? near : near.Or(mask.Global(GlobalTokens));
    }

    /// <inheritdoc/>
    public override KeptTokens Keeps(PatternContext context) => new(WindowIn(context), GlobalTokens);

    /// <inheritdoc/>
    public override double MeanVisibleKeys(int length, PatternContext context)
    {
        // The first w − 1 tokens of a causal sequence see fewer than w keys, and so do as many at the end where both sides are seen.
        double window = Math.Min(WindowIn(context), length);
        var before = window - (window * (window - 1) / (2 * length));
        return Math.Min(length, GlobalTokens + (context.Role == MixerRole.Causal ? before : (2 * before) - 1));
    }

    /// <inheritdoc/>
    public override void Check(PartBuilder part, MixerRole role)
    {
        part.Require(Window is null or >= 1, "window", Window, "at least 1");
        part.Require(GlobalTokens >= 0, "globalTokens", GlobalTokens, "at least 0");
        RequireSelf(part, role, "window");
    }

    private int WindowIn(PatternContext context) => Window ?? Math.Max(1, context.Length / 8);
}
