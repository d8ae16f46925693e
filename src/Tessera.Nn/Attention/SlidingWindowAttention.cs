using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Options of <see cref="SlidingWindowAttention"/>; <c>"kind": "sliding-window"</c> in a recipe.</summary>
/// <param name="Heads">Query heads; 1 to 65,536.</param>
/// <param name="Window">How many keys a query sees, its own included; at least 1. Where tokens see both sides, as many to each.</param>
public sealed record SlidingWindowOptions(int Heads, int Window) : MaskedOptions(Heads)
{
    /// <summary>The same attention without its limit, with one.</summary>
    /// <param name="full">What sees everything.</param>
    /// <param name="window">How many keys a query is to see.</param>
    public static SlidingWindowOptions Of(MultiHeadOptions full, int window) => new(full.Heads, window)
    {
        KeyValueHeads = full.KeyValueHeads, HeadWidth = full.HeadWidth, Bias = full.Bias, OutputBias = full.OutputBias, QueryKeyNorm = full.QueryKeyNorm,
        Position = full.Position, ScoreScale = full.ScoreScale, SoftCap = full.SoftCap, Sinks = full.Sinks,
    };

    /// <inheritdoc/>
    public override Attention Build(PartBuilder part, AttentionRole role, int memoryWidth = 0) => new SlidingWindowAttention(this, part, role);
}

/// <summary>
/// Attention limited to the last w positions: <c>softmax(q kᵀ / √d + m) v</c> with m = 0 where <c>0 ≤ i − j &lt; w</c>
/// (<c>|i − j| &lt; w</c> in an encoder) and −∞ elsewhere. Cost O(n·w); the cache keeps all keys, O(n).
/// <para>Beltagy, Peters, Cohan 2020, <see href="https://arxiv.org/abs/2004.05150"/>; Jiang et al. 2023 (Mistral),
/// <see href="https://arxiv.org/abs/2310.06825"/>.</para>
/// </summary>
public sealed class SlidingWindowAttention : MaskedAttention
{
    private readonly int _window;

    internal SlidingWindowAttention(SlidingWindowOptions options, PartBuilder part, AttentionRole role) : base(options, part, role, memoryWidth: 0)
    {
        part.Require(role != AttentionRole.Cross, "kind", "sliding-window", "a kind that reads another sequence, such as multi-head, for cross-attention");
        part.Require(options.Window >= 1, "window", options.Window, "at least 1");
        _window = options.Window;
    }

    /// <inheritdoc/>
    protected override BlockMask Narrow(BlockMask mask) => Role == AttentionRole.Causal ? mask.Within(_window) : mask.Around(_window - 1);

    /// <inheritdoc/>
    protected override double MeanVisibleKeys(int length)
    {
        // The first w − 1 tokens of a causal sequence see fewer than w keys, and so do as many at the end where both sides are seen.
        double window = Math.Min(_window, length);
        var before = window - (window * (window - 1) / (2 * length));
        return Role == AttentionRole.Causal ? before : (2 * before) - 1;
    }
}
