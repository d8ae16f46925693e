namespace Tessera.Tensors.Kernels;

/// <summary>
/// How llama.cpp finds the scale of a group: numbers are rounded at several trial scales; for each, the scale that then fits
/// best is a least-squares problem with a closed solution; the trial with the least weighted error wins. The order of the
/// operations is part of the result's bits.
/// </summary>
internal static unsafe class QuantizedSearch
{
    private const float Negligible = 1e-15f;

    /// <summary>The scale s and minimum m for <c>x ≈ s q − m</c>, q from 0 to <paramref name="max"/>, m not negative; errors
    /// weigh <c>√mean(x²) + |x|</c>.</summary>
    /// <param name="x">The elements.</param>
    /// <param name="count">How many.</param>
    /// <param name="max">The greatest number.</param>
    /// <param name="first">What the first trial adds to <paramref name="max"/>; each further one adds 0.1 more.</param>
    /// <param name="trials">How many there are.</param>
    /// <param name="numbers">The numbers found.</param>
    /// <param name="minimum">The minimum found.</param>
    public static float ScaleAndMinimum(float* x, int count, int max, float first, int trials, byte* numbers, out float minimum)
    {
        var weights = stackalloc float[count];
        var trial = stackalloc byte[count];
        Weigh(x, count, weights, out var sumW, out var sumX);
        float min = x[0], greatest = x[0];
        for (var i = 1; i < count; i++) (min, greatest) = (MathF.Min(min, x[i]), MathF.Max(greatest, x[i]));
        min = MathF.Min(min, 0);
        if (greatest == min)
        {
            new Span<byte>(numbers, count).Clear();
            minimum = -min;
            return 0;
        }

        var scale = 1 / (max / (greatest - min));
        Round(x, count, max / (greatest - min), min, max, numbers);
        var best = Error(x, weights, count, numbers, scale, min);
        for (var i = 0; i < trials; i++)
        {
            Round(x, count, (first + (0.1f * i) + max) / (greatest - min), min, max, trial);
            if (!Fit(x, weights, count, trial, sumW, sumX, out var trialScale, out var trialMinimum)) continue;
            var error = Error(x, weights, count, trial, trialScale, trialMinimum);
            if (!(error < best)) continue;
            (best, scale, min) = (error, trialScale, trialMinimum);
            new ReadOnlySpan<byte>(trial, count).CopyTo(new Span<byte>(numbers, count));
        }

        minimum = -min;
        return scale;
    }

    /// <summary>The scale s for <c>x ≈ s (q − zero)</c>, q from 0 to 2 zero − 1; errors weigh x². It may be negative: the
    /// element of greatest magnitude is at −zero, which has no opposite.</summary>
    public static float Scale(float* x, int count, int zero, byte* numbers)
    {
        var greatest = 0f;
        for (var i = 0; i < count; i++)
            if (MathF.Abs(x[i]) > MathF.Abs(greatest)) greatest = x[i];
        if (MathF.Abs(greatest) < Negligible)
        {
            new Span<byte>(numbers, count).Clear();
            return 0;
        }

        var trial = stackalloc byte[count];
        Round(x, count, -zero / greatest, zero, numbers, out var sumXL, out var sumLL);
        var scale = sumLL != 0 ? sumXL / sumLL : 0;
        var best = scale * sumXL;
        for (var i = -9; i <= 9; i++)
        {
            if (i == 0) continue;
            Round(x, count, -(zero + (0.1f * i)) / greatest, zero, trial, out sumXL, out sumLL);
            if (!(sumLL > 0) || !(sumXL * sumXL > best * sumLL)) continue;
            scale = sumXL / sumLL;
            best = scale * sumXL;
            new ReadOnlySpan<byte>(trial, count).CopyTo(new Span<byte>(numbers, count));
        }

        return float.IsFinite(scale) ? scale : greatest / -zero; // sums that overflow belong to a scale that F16 does not hold
    }

    private static void Weigh(float* x, int count, float* weights, out float sumW, out float sumX)
    {
        var squares = 0f;
        for (var i = 0; i < count; i++) squares += x[i] * x[i];
        var typical = MathF.Sqrt(squares / count);
        (sumW, sumX) = (0, 0);
        for (var i = 0; i < count; i++)
        {
            weights[i] = typical + MathF.Abs(x[i]);
            sumW += weights[i];
            sumX += weights[i] * x[i];
        }
    }

    private static void Round(float* x, int count, float inverse, float min, int max, byte* numbers)
    {
        for (var i = 0; i < count; i++) numbers[i] = (byte)QuantizedFormat.Nearest(inverse * (x[i] - min), 0, max);
    }

    private static void Round(float* x, int count, float inverse, int zero, byte* numbers, out float sumXL, out float sumLL)
    {
        (sumXL, sumLL) = (0, 0);
        for (var i = 0; i < count; i++)
        {
            var number = QuantizedFormat.Nearest(inverse * x[i], -zero, zero - 1);
            numbers[i] = (byte)(number + zero);
            var weight = x[i] * x[i];
            sumXL += weight * x[i] * number;
            sumLL += weight * number * number;
        }
    }

    private static float Error(float* x, float* weights, int count, byte* numbers, float scale, float min)
    {
        var sum = 0f;
        for (var i = 0; i < count; i++)
        {
            var difference = (scale * numbers[i]) + min - x[i];
            sum += weights[i] * (difference * difference);
        }

        return sum;
    }

    /// <summary>The weighted least-squares line through (number, x); through the origin where it would cross above it.</summary>
    private static bool Fit(
        float* x, float* weights, int count, byte* numbers, float sumW, float sumX, out float scale, out float min)
    {
        float sumL = 0, sumLL = 0, sumXL = 0;
        for (var i = 0; i < count; i++)
        {
            var weight = weights[i];
            sumL += weight * numbers[i];
            sumLL += weight * numbers[i] * numbers[i];
            sumXL += weight * numbers[i] * x[i];
        }

        var determinant = (sumW * sumLL) - (sumL * sumL);
        scale = ((sumW * sumXL) - (sumX * sumL)) / determinant;
        min = ((sumLL * sumX) - (sumL * sumXL)) / determinant;
        if (min > 0) (scale, min) = (sumXL / sumLL, 0);
        return determinant > 0;
    }
}
