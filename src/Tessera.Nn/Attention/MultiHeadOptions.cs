using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Nn.Attention;

/// <summary>Options of <see cref="SoftmaxAttention"/>; <c>"kind": "multi-head"</c> in a recipe.</summary>
/// <param name="Heads">Query heads, 1 to 65,536; such that a head has 64 elements unless said, or fewer where the width wants it.</param>
public sealed record MultiHeadOptions(int? Heads = null) : MixerOptions
{
    /// <summary>Key and value heads, each shared by <c>heads / keyValueHeads</c> query heads (Ainslie et al. 2023, arXiv
    /// 2305.13245); as many as <c>heads</c> where null.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>The width of a head, 1 to 16,384; <c>width / heads</c> where null.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Which keys a query looks at.</summary>
    public AttentionPattern Pattern { get; init; } = new FullPattern();

    /// <summary>How queries and keys are marked with their positions, or what their distance adds to scores; nothing where null.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>Whether the maps to queries, keys and values have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the map back to the hidden states has a bias; as <see cref="Bias"/> where null.</summary>
    public bool? OutputBias { get; init; }

    /// <summary>The norm of each head's query and key before they are marked with positions (Qwen 3); none where null.</summary>
    public NormOptions? QueryKeyNorm { get; init; }

    /// <summary>Whether <see cref="QueryKeyNorm"/> is over all heads of a token together (OLMo 2, OLMoE), not over each on its
    /// own.</summary>
    public bool WholeQueryKeyNorm { get; init; }

    /// <summary>Whether each head has weights of its own for <see cref="QueryKeyNorm"/> (Command R+); else all heads share them.</summary>
    public bool PerHeadQueryKeyNorm { get; init; }

    /// <summary>What products of queries and keys are multiplied by, greater than 0; <c>1/√headWidth</c> where null.</summary>
    public float? ScoreScale { get; init; }

    /// <summary>Where above 0, a score s becomes <c>cap · tanh(s / cap)</c> (Gemma 2, arXiv 2408.00118).</summary>
    public float SoftCap { get; init; }

    /// <summary>Whether each head has a learned score more, <c>sinks</c>, which takes probability and has no value, so that a head
    /// may look at nothing.</summary>
    public bool Sinks { get; init; }

    internal override string PartName => "attention";

    /// <inheritdoc/>
    public override Mixer Build(PartBuilder part, MixerRole role, int memoryWidth = 0) =>
        new SoftmaxAttention(this, part, role, memoryWidth);

    /// <inheritdoc/>
    public override MixerOptions ForCross(int width) => this with { Pattern = new FullPattern() };

    /// <summary>The sizes of heads in hidden states of a width.</summary>
    public HeadSizes SizesIn(int width)
    {
        var heads = Heads ?? HeadSizes.HeadsOf(width);
        return new HeadSizes(heads, KeyValueHeads ?? heads, HeadWidth ?? (heads > 0 ? width / heads : 0));
    }

    /// <inheritdoc/>
    public override MixerOptions Canonical(int width)
    {
        var sizes = SizesIn(width);
        return this with
        {
            Heads = sizes.Heads, KeyValueHeads = sizes.KeyValueHeads, HeadWidth = sizes.HeadWidth,
            OutputBias = OutputBias ?? Bias, ScoreScale = ScoreScale ?? 1 / MathF.Sqrt(sizes.HeadWidth),
            Position = Position is RotaryOptions rotary ? rotary with { Width = rotary.Width ?? sizes.HeadWidth } : Position,
        };
    }

    internal void Check(PartBuilder part)
    {
        var (heads, keyValueHeads, headWidth) = SizesIn(part.Width);
        part.Require(heads is >= 1 and <= 65536, "heads", heads, "1 to 65536");
        part.Require(
            HeadWidth is not null || part.Width % heads == 0, "heads", heads, $"a divisor of the width {part.Width}, or a headWidth");
        part.Require(keyValueHeads >= 1 && heads % keyValueHeads == 0, "keyValueHeads", keyValueHeads, $"a divisor of heads, {heads}");
        part.Require(headWidth is >= 1 and <= 16384, "headWidth", headWidth, "1 to 16384");
        part.Require(!WholeQueryKeyNorm || QueryKeyNorm is not null, "wholeQueryKeyNorm", "true", "false where there is no queryKeyNorm");
        part.Require(
            !PerHeadQueryKeyNorm || (QueryKeyNorm is not null && !WholeQueryKeyNorm), "perHeadQueryKeyNorm", "true",
            "false where there is no queryKeyNorm, or wholeQueryKeyNorm");
        part.Require(ScoreScale is null or (> 0 and < float.PositiveInfinity), "scoreScale", ScoreScale, "greater than 0");
        part.Require(SoftCap is >= 0 and < float.PositiveInfinity, "softCap", SoftCap, "0 (none) or above");
    }
}

/// <summary>How attention cuts hidden states into heads.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key and value heads.</param>
/// <param name="HeadWidth">Elements of a head.</param>
public readonly record struct HeadSizes(int Heads, int KeyValueHeads, int HeadWidth)
{
    private const int UsualHeadWidth = 64;

    /// <summary>How many heads a width has unless said: heads of 64 elements, or of 32, 16 … where those do not divide it.</summary>
    public static int HeadsOf(int width)
    {
        for (var head = UsualHeadWidth; head > 1; head /= 2)
            if (width % head == 0) return width / head;
        return 1;
    }
}
