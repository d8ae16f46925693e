using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// Rotary positions in GGUF files: <c>rope.*</c>, and <c>rope_freqs.weight</c>, which holds a divisor of each pair's frequency and
/// is how files say Llama 3's scaling.
/// <para>llama.cpp: <c>conversion/base.py</c>, <c>conversion/llama.py</c>, <c>llama_context</c>.</para>
/// </summary>
internal static class GgufRotary
{
    /// <summary>The tensor of divisors.</summary>
    public const string Divisors = "rope_freqs.weight";

    private const string Base = "rope.freq_base", Width = "rope.dimension_count", Type = "rope.scaling.type",
        Factor = "rope.scaling.factor";
    private const string TrainedLength = "rope.scaling.original_context_length", BetaFast = "rope.scaling.yarn_beta_fast",
        BetaSlow = "rope.scaling.yarn_beta_slow";
    private const string AttentionFactor = "rope.scaling.attn_factor", LogMultiplier = "rope.scaling.yarn_log_multiplier";
    private const float DefaultBase = 10000;

    // Models have up to 1; the squares of much greater ones are beyond binary32.
    private const double MaxLogMultiplier = 1000;

    // Converters compute divisors in binary32, wavelengths and all.
    private const double DivisorTolerance = 1e-5;

    /// <summary>Reads the positions of heads of the given width.</summary>
    /// <param name="keys">The file's metadata.</param>
    /// <param name="layout">Which elements of a head form a pair.</param>
    /// <param name="headWidth">The width of a head, or of its part that is turned.</param>
    /// <param name="positions">The longest sequence.</param>
    /// <param name="logUnit">What <c>yarn_log_multiplier</c> is a multiple of: 0.1 in deepseek2's files, 1 in others'.</param>
    public static RotaryOptions Read(GgufKeys keys, RotaryLayout layout, int headWidth, int positions, double logUnit = 1)
    {
        var theta = keys.NumberOrNull(Base) ?? DefaultBase;
        var width = keys.CountOr(Width, headWidth, min: 2);
        if (width > headWidth || width % 2 != 0) throw keys.Wrong(Width, width, $"even numbers up to the width of a head, {headWidth}");
        return new RotaryOptions(theta, layout, positions)
        {
            Width = width == headWidth ? null : width,
            Scaling = keys.HasTensor(Divisors) ? ReadDivisors(keys, theta, width / 2, positions) : ReadScaling(keys, logUnit),
        };
    }

    /// <summary>Writes positions; divisors, which are a tensor, are <see cref="DivisorsOf"/>.</summary>
    /// <param name="rotary">What to write.</param>
    /// <param name="headWidth">The width of a head, or of its part that is turned.</param>
    /// <param name="set">Takes keys without the architecture's name.</param>
    /// <param name="logUnit">As of <see cref="Read"/>.</param>
    public static void Write(RotaryOptions rotary, int headWidth, Action<string, GgufValue> set, double logUnit = 1)
    {
        set(Base, GgufValue.Of(rotary.Theta));
        set(Width, GgufValue.Of((uint)(rotary.Width ?? headWidth)));
        switch (rotary.Scaling)
        {
            case LinearScaling linear:
                set(Type, GgufValue.Of("linear"));
                set(Factor, GgufValue.Of((float)linear.Factor));
                break;
            case YarnScaling yarn:
                set(Type, GgufValue.Of("yarn"));
                set(Factor, GgufValue.Of((float)yarn.Factor));
                set(TrainedLength, GgufValue.Of((uint)yarn.TrainedLength));
                set(BetaFast, GgufValue.Of((float)yarn.BetaFast));
                set(BetaSlow, GgufValue.Of((float)yarn.BetaSlow));
                if (yarn.AttentionFactor is { } factor)
                    set(AttentionFactor, GgufValue.Of((float)(factor / YarnScaling.MagnitudeOf(yarn.Factor))));
                if (yarn.MscaleAllDim is { } mscale and not 0) set(LogMultiplier, GgufValue.Of((float)(mscale * logUnit)));
                break;
            case Llama3Scaling llama:
                // Without a type llama.cpp does not look at it; it tells apart what the divisors leave open.
                set(TrainedLength, GgufValue.Of((uint)llama.TrainedLength));
                break;
        }
    }

    /// <summary>Why files cannot say these positions, or null where they can.</summary>
    /// <param name="rotary">The positions.</param>
    /// <param name="isLatent">Whether they are those of deepseek2.</param>
    public static string? WhyNot(RotaryOptions rotary, bool isLatent = false)
    {
        return rotary.Scaling switch
        {
            null or LinearScaling => null,
            Llama3Scaling or LongScaling when isLatent => $"deepseek2 has no rotary scaling of kind {Kind(rotary.Scaling)}",
            Llama3Scaling => null,
            LongScaling { AttentionFactor: null or 1, Factor: <= 1 } scaling
                when scaling.ShortFactors.SequenceEqual(scaling.LongFactors) => null,
            YarnScaling { Truncate: false } => "its YaRN does not round the pairs where blending begins and ends, llama.cpp always does",
            YarnScaling yarn when isLatent => yarn is { AttentionFactor: null, MscaleAllDim: { } all and not 0 }
                && (yarn.Mscale ?? 0) == all
                ? null
                : "its YaRN has an attention factor, or mscale and mscale_all_dim that are not equal, which deepseek2 needs",
            YarnScaling { MscaleAllDim: not (null or 0), Mscale: not (null or 0 or 1) } => "its YaRN has an mscale other than 1",
            YarnScaling => null,
            var other => $"it has rotary scaling of kind {Kind(other)}, for which there are no keys",
        };

        static string Kind(RotaryScaling scaling) =>
            scaling.GetType().Name.Replace("Scaling", "", StringComparison.Ordinal).ToLowerInvariant();
    }

    /// <summary>The divisors of the frequencies of each pair, or null where metadata say the scaling.</summary>
    public static float[]? DivisorsOf(RotaryOptions rotary, int headWidth) => rotary.Scaling switch
    {
        Llama3Scaling llama => Llama3Divisors(llama, rotary.Theta, (rotary.Width ?? headWidth) / 2),
        LongScaling scaling => [.. scaling.ShortFactors.Select(factor => (float)factor)],
        _ => null,
    };

    /// <summary>As llama.cpp's converter computes them, in binary32, so that files come out alike.</summary>
    private static float[] Llama3Divisors(Llama3Scaling scaling, float theta, int pairs)
    {
        var (low, high, length) = ((float)scaling.LowFrequencyFactor, (float)scaling.HighFrequencyFactor, (float)scaling.TrainedLength);
        var divisors = new float[pairs];
        for (var pair = 0; pair < pairs; pair++)
        {
            var wavelength = (float)(2 * Math.PI) / (1 / MathF.Pow(theta, (float)pair / pairs));
            var smooth = ((length / wavelength) - low) / (high - low);
            divisors[pair] = wavelength < length / high ? 1
                : wavelength > length / low ? (float)scaling.Factor
                : 1 / (((1 - smooth) / (float)scaling.Factor) + smooth);
        }

        return divisors;
    }

    /// <summary>Llama 3's scaling where the divisors are those of one with the factors 1 and 4, as all its models have them, and
    /// otherwise the divisors as they are.</summary>
    private static RotaryScaling ReadDivisors(GgufKeys keys, float theta, int pairs, int positions)
    {
        var entry = keys.File[Divisors];
        if (entry.Count != pairs || entry.Element != ElementType.F32)
            throw new InvalidDataException(
                $"{keys.File.Path}: tensor {entry} is to hold a divisor for each of the {pairs} pairs of a head, in F32");
        var divisors = new float[pairs];
        keys.File.ReadBytes(Divisors, System.Runtime.InteropServices.MemoryMarshal.AsBytes(divisors.AsSpan()));
        if (divisors.Any(divisor => !(divisor > 0 && float.IsFinite(divisor))))
            throw new InvalidDataException($"{keys.File.Path}: tensor {entry} has a divisor that is not a finite number above 0");
        var factor = divisors.Max();
        if (factor >= 1)
        {
            var given = keys.CountOr(TrainedLength, 0);
            int[] lengths = given > 0 ? [given] : [.. Enumerable.Range(5, 16).Select(power => 1 << power)];
            foreach (var length in lengths)
            {
                var scaling = new Llama3Scaling(GgufKeys.Shortest(factor), length);
                var exact = Llama3Divisors(scaling, theta, pairs);
                if (divisors.Zip(exact).All(pair => Math.Abs(pair.First - pair.Second) <= DivisorTolerance * pair.Second)) return scaling;
            }
        }

        double[] all = [.. divisors.Select(divisor => (double)divisor)];
        return new LongScaling(Math.Max(2, positions), all, all);
    }

    /// <summary>Rounded to the decimals that binary32 holds, so that 0.0707 of 0.1 is 0.707.</summary>
    private static double? ReadMscale(GgufKeys keys, double logUnit)
    {
        if (keys.DecimalOrNull(LogMultiplier) is not { } multiplier) return null;
        return multiplier <= MaxLogMultiplier
            ? GgufKeys.Shortest((float)(multiplier / logUnit))
            : throw keys.Wrong(LogMultiplier, multiplier, $"up to {MaxLogMultiplier}");
    }

    private static RotaryScaling? ReadScaling(GgufKeys keys, double logUnit)
    {
        switch (keys.Text(Type))
        {
            case null or "none" or "linear" when keys.DecimalOrNull(Factor) is null or 1 or 0 || keys.Text(Type) == "none":
                return null;
            case null or "linear":
                return new LinearScaling(keys.DecimalOrNull(Factor)!.Value);
            case "yarn":
                var factor = keys.DecimalOrNull(Factor) ?? 1;
                var mscale = ReadMscale(keys, logUnit);
                return new YarnScaling(factor, keys.Count(TrainedLength))
                {
                    BetaFast = keys.DecimalOrNull(BetaFast) ?? 32,
                    BetaSlow = keys.DecimalOrNull(BetaSlow) ?? 1,
                    AttentionFactor = keys.NumberOrNull(AttentionFactor) is { } attention and not 1
                        ? GgufKeys.Shortest((float)(attention * YarnScaling.MagnitudeOf(factor))) : null,
                    Mscale = mscale is null ? null : logUnit == 1 ? 1 : mscale,
                    MscaleAllDim = mscale,
                };
            case { } other:
                throw keys.Wrong(Type, $"'{other}'", "none, linear, yarn");
        }
    }
}
