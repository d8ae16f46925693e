using System.Text.Json.Serialization;

namespace Tessera.Nn.Positions;

/// <summary>How rotary positions are stretched to sequences longer than those a model was first trained on; in a recipe
/// <c>"scaling": { "kind": … }</c> of a rotary position. The names and formulas are those of Hugging Face's
/// <c>modeling_rope_utils</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(LinearScaling), "linear")]
[JsonDerivedType(typeof(DynamicScaling), "dynamic")]
[JsonDerivedType(typeof(YarnScaling), "yarn")]
[JsonDerivedType(typeof(Llama3Scaling), "llama3")]
[JsonDerivedType(typeof(LongScaling), "longrope")]
public abstract record RotaryScaling
{
    /// <summary>Throws where an option is not allowed.</summary>
    /// <exception cref="RecipeException">It is not.</exception>
    internal abstract void Check(PartBuilder part, int pairs);

    /// <summary>Scales what turns the pairs of a sequence.</summary>
    /// <param name="theta">The base of the wavelengths.</param>
    /// <param name="length">The length of the sequence.</param>
    /// <param name="angles">The angle of each pair from one position to the next, in radians: unscaled ones before.</param>
    /// <returns>The factor of sines and cosines: of queries and keys, so of scores its square.</returns>
    internal abstract double Scale(double theta, int length, Span<double> angles);

    /// <summary>θ^(−2i/width) for pair i.</summary>
    internal static void Unscaled(double theta, Span<double> angles)
    {
        for (var pair = 0; pair < angles.Length; pair++) angles[pair] = Math.Pow(theta, -(double)pair / angles.Length);
    }

    /// <summary>The shortest and the longest sequence that have the same frequencies as one of <paramref name="length"/>.</summary>
    internal virtual (int Shortest, int Longest) SameFor(int length) => (0, int.MaxValue);
}

/// <summary>All positions are divided by a factor.
/// <para>Chen et al. 2023, position interpolation, <see href="https://arxiv.org/abs/2306.15595"/>.</para></summary>
/// <param name="Factor">At least 1.</param>
public sealed record LinearScaling(double Factor) : RotaryScaling
{
    /// <inheritdoc/>
    internal override void Check(PartBuilder part, int pairs) => part.Require(Factor >= 1, "scaling.factor", Factor, "at least 1");

    /// <inheritdoc/>
    internal override double Scale(double theta, int length, Span<double> angles)
    {
        foreach (ref var angle in angles) angle /= Factor;
        return 1;
    }
}

/// <summary>The base grows with the sequence once it is longer than those of training: "NTK-aware", dynamic.
/// <para>Peng et al. 2023, <see href="https://arxiv.org/abs/2309.00071"/>, section 3.3.</para></summary>
/// <param name="Factor">At least 1.</param>
/// <param name="TrainedLength">The longest sequence of training.</param>
public sealed record DynamicScaling(double Factor, int TrainedLength) : RotaryScaling
{
    /// <inheritdoc/>
    internal override void Check(PartBuilder part, int pairs)
    {
        part.Require(Factor >= 1, "scaling.factor", Factor, "at least 1");
        part.Require(TrainedLength >= 1, "scaling.trainedLength", TrainedLength, "at least 1");
        part.Require(pairs > 1, "width", 2 * pairs, "at least 4 turned elements for this scaling");
    }

    /// <inheritdoc/>
    internal override double Scale(double theta, int length, Span<double> angles)
    {
        var longest = Math.Max(length, TrainedLength);
        var stretched = theta * Math.Pow((Factor * longest / TrainedLength) - (Factor - 1), (double)angles.Length / (angles.Length - 1));
        Unscaled(stretched, angles);
        return 1;
    }

    /// <inheritdoc/>
    internal override (int Shortest, int Longest) SameFor(int length) => length > TrainedLength ? (length, length) : (0, TrainedLength);
}

/// <summary>
/// Slow pairs are interpolated, fast ones left as they are, those between blended; scores get a little sharper.
/// <para>Peng et al. 2023, YaRN, <see href="https://arxiv.org/abs/2309.00071"/>; the two mscales are DeepSeek's.</para>
/// </summary>
/// <param name="Factor">How many times longer sequences may get; at least 1.</param>
/// <param name="TrainedLength">The longest sequence of the first training.</param>
public sealed record YarnScaling(double Factor, int TrainedLength) : RotaryScaling
{
    /// <summary>Pairs that turn more often than this over the trained length are left as they are.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Pairs that turn less often than this are interpolated.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether the pairs where blending begins and ends are rounded to whole ones.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>The factor of sines and cosines; by default from the mscales, or <c>0.1 ln factor + 1</c>.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>DeepSeek's <c>mscale</c>; used where <see cref="MscaleAllDim"/> is given too.</summary>
    public double? Mscale { get; init; }

    /// <summary>DeepSeek's <c>mscale_all_dim</c>.</summary>
    public double? MscaleAllDim { get; init; }

    /// <summary><c>0.1 · m · ln(scale) + 1</c>, and 1 for a scale of at most 1.</summary>
    public static double MagnitudeOf(double scale, double m = 1) => scale <= 1 ? 1 : (0.1 * m * Math.Log(scale)) + 1;

    /// <summary>By how much DeepSeek multiplies scores where YaRN stretches its positions: the square of what sines and cosines would
    /// be multiplied by otherwise. 1 for other scalings, and for a YaRN without <see cref="MscaleAllDim"/>.</summary>
    public static float ScoreFactorOf(RotaryScaling? scaling)
    {
        if (scaling is not YarnScaling { MscaleAllDim: { } all and not 0 } yarn) return 1;
        var magnitude = MagnitudeOf(yarn.Factor, all);
        return (float)(magnitude * magnitude);
    }

    /// <inheritdoc/>
    internal override void Check(PartBuilder part, int pairs)
    {
        part.Require(Factor >= 1, "scaling.factor", Factor, "at least 1");
        part.Require(TrainedLength >= 1, "scaling.trainedLength", TrainedLength, "at least 1");
        part.Require(BetaFast > 0, "scaling.betaFast", BetaFast, "above 0");
        part.Require(BetaSlow > 0, "scaling.betaSlow", BetaSlow, "above 0");
    }

    /// <inheritdoc/>
    internal override double Scale(double theta, int length, Span<double> angles)
    {
        var pairs = angles.Length;
        var (low, high) = (Place(BetaFast), Place(BetaSlow));
        if (Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, (2 * pairs) - 1));
        if (low == high) high += 0.001;
        for (var pair = 0; pair < pairs; pair++)
        {
            var interpolated = Math.Clamp((pair - low) / (high - low), 0, 1);
            angles[pair] *= (interpolated / Factor) + (1 - interpolated);
        }

        return Magnitude();

        double Place(double turns) => pairs * Math.Log(TrainedLength / (turns * 2 * Math.PI)) / Math.Log(theta);
    }

    private double Magnitude() => AttentionFactor
        ?? (
            Mscale is { } m and not 0 && MscaleAllDim is { } all and not 0
                ? MagnitudeOf(Factor, m) / MagnitudeOf(Factor, all)
                : MagnitudeOf(Factor));
}

/// <summary>Slow pairs are interpolated, fast ones left, those between blended by their wavelength.
/// <para>Llama 3.1: Grattafiori et al. 2024, <see href="https://arxiv.org/abs/2407.21783"/>.</para></summary>
/// <param name="Factor">At least 1.</param>
/// <param name="TrainedLength">The longest sequence of the first training.</param>
/// <param name="LowFrequencyFactor">Wavelengths above the trained length over this are interpolated.</param>
/// <param name="HighFrequencyFactor">Wavelengths below the trained length over this are left; greater than the other.</param>
public sealed record Llama3Scaling(double Factor, int TrainedLength, double LowFrequencyFactor = 1, double HighFrequencyFactor = 4)
    : RotaryScaling
{
    /// <inheritdoc/>
    internal override void Check(PartBuilder part, int pairs)
    {
        part.Require(Factor >= 1, "scaling.factor", Factor, "at least 1");
        part.Require(TrainedLength >= 1, "scaling.trainedLength", TrainedLength, "at least 1");
        part.Require(
            LowFrequencyFactor > 0 && HighFrequencyFactor > LowFrequencyFactor, "scaling.highFrequencyFactor", HighFrequencyFactor,
            $"greater than lowFrequencyFactor, {LowFrequencyFactor}, which is above 0");
    }

    /// <inheritdoc/>
    internal override double Scale(double theta, int length, Span<double> angles)
    {
        foreach (ref var angle in angles)
        {
            var turns = TrainedLength * angle / (2 * Math.PI);
            var kept = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
            angle *= kept + ((1 - kept) / Factor);
        }

        return 1;
    }
}

/// <summary>Each pair has a factor of its own, one for short and one for long sequences.
/// <para>LongRoPE: Ding et al. 2024, <see href="https://arxiv.org/abs/2402.13753"/>, as Phi-3 has it.</para></summary>
/// <param name="TrainedLength">The longest sequence of the first training, which has the short factors.</param>
/// <param name="ShortFactors">A divisor for each pair, above 0.</param>
/// <param name="LongFactors">A divisor for each pair, above 0.</param>
public sealed record LongScaling(int TrainedLength, IReadOnlyList<double> ShortFactors, IReadOnlyList<double> LongFactors) : RotaryScaling
{
    /// <summary>How many times longer sequences may get; from it follows the factor of sines and cosines.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>The factor of sines and cosines; by default <c>√(1 + ln factor / ln trainedLength)</c>.</summary>
    public double? AttentionFactor { get; init; }

    /// <inheritdoc/>
    internal override void Check(PartBuilder part, int pairs)
    {
        part.Require(TrainedLength >= 2, "scaling.trainedLength", TrainedLength, "at least 2");
        part.Require(ShortFactors.Count == pairs, "scaling.shortFactors", $"{ShortFactors.Count} numbers", $"{pairs} numbers");
        part.Require(LongFactors.Count == pairs, "scaling.longFactors", $"{LongFactors.Count} numbers", $"{pairs} numbers");
        RequireAboveZero("scaling.shortFactors", ShortFactors);
        RequireAboveZero("scaling.longFactors", LongFactors);

        void RequireAboveZero(string key, IReadOnlyList<double> factors)
        {
            for (var pair = 0; pair < factors.Count; pair++) part.Require(factors[pair] > 0, $"{key}[{pair}]", factors[pair], "above 0");
        }
    }

    /// <inheritdoc/>
    internal override double Scale(double theta, int length, Span<double> angles)
    {
        var factors = length > TrainedLength ? LongFactors : ShortFactors;
        for (var pair = 0; pair < angles.Length; pair++) angles[pair] /= factors[pair];
        return AttentionFactor ?? (Factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(Factor) / Math.Log(TrainedLength))));
    }

    /// <inheritdoc/>
    internal override (int Shortest, int Longest) SameFor(int length) =>
        length > TrainedLength ? (TrainedLength + 1, int.MaxValue) : (0, TrainedLength);
}
