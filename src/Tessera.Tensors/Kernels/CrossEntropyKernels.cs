using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Softmax cross-entropy of rows of logits.</summary>
internal static unsafe class CrossEntropyKernels
{
    /// <summary>The loss of each row and, in place of the logits, its gradient.</summary>
    /// <param name="logits">rows × classes; becomes the gradient times <paramref name="gradientScale"/> unless that is 0.</param>
    /// <param name="targets">A class a row; negative: the row counts nothing.</param>
    /// <param name="losses">Written: one a row.</param>
    /// <param name="settings">Smoothing and the z loss.</param>
    /// <param name="gradientScale">Multiplies the gradient; 0 leaves the logits undefined.</param>
    public static void Rows(
        Span<float> logits, ReadOnlySpan<int> targets, Span<float> losses, in CrossEntropySettings settings, float gradientScale)
    {
        fixed (float* pLogits = logits, pLosses = losses)
        fixed (int* pTargets = targets)
        {
            var work = new Work
            {
                Logits = pLogits, Losses = pLosses, Targets = pTargets, Rows = targets.Length,
                Classes = targets.Length == 0 ? 0 : logits.Length / targets.Length, Settings = settings, Scale = gradientScale,
            };
            work.Parts = Simd.Parts(work.Rows, 4L * work.Classes);
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* Logits, Losses;
        public int* Targets;
        public int Rows, Classes, Parts;
        public CrossEntropySettings Settings;
        public float Scale;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++) Losses[row] = Row<V>(Logits + ((long)row * Classes), Targets[row]);
        }

        /// <summary>With log-sum-exp s and smoothing ε the loss is s − (1 − ε) x_t − ε mean(x) + z s².</summary>
        private readonly float Row<V>(float* logits, int target) where V : struct, ILanes<V>
        {
            if (target < 0)
            {
                new Span<float>(logits, Classes).Clear();
                return 0;
            }

            var (greatest, sum) = Survey<V>(logits, Classes);
            var (wanted, mean) = (logits[target], sum / Classes);
            var total = Powers<V>(logits, Classes, greatest);
            var logSum = greatest + MathF.Log(total);
            if (Scale != 0)
            {
                Slopes<V>(logits, Classes, Scale * (1 + (2 * Settings.ZWeight * logSum)) / total, Scale * Settings.Smoothing / Classes);
                logits[target] -= Scale * (1 - Settings.Smoothing);
            }

            var smoothed = Settings.Smoothing > 0 ? Settings.Smoothing * mean : 0; // a logit of −∞ counts nothing without smoothing
            return logSum - ((1 - Settings.Smoothing) * wanted) - smoothed + (Settings.ZWeight * logSum * logSum);
        }
    }

    /// <summary>The greatest logit and the sum of all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static (float Greatest, float Sum) Survey<V>(float* logits, int count) where V : struct, ILanes<V>
    {
        var (greatest, sum, j) = (V.All(float.NegativeInfinity), V.Zero, 0);
        for (; j <= count - V.Count; j += V.Count)
        {
            var x = V.Load(logits + j);
            greatest = V.Larger(x, greatest);
            sum += x;
        }

        var (max, total) = (greatest.Greatest(), sum.Sum());
        for (; j < count; j++) (max, total) = (MathF.Max(max, logits[j]), total + logits[j]);
        return (max, total);
    }

    /// <summary>Replaces x by <c>e^(x − greatest)</c>; their sum. The greatest is 1, so that an error relative to it is what
    /// counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Powers<V>(float* logits, int count, float greatest) where V : struct, ILanes<V>
    {
        var (sum, tail, j) = (V.Zero, Lanes1.Zero, 0);
        for (; j <= count - V.Count; j += V.Count) PowerAt(logits + j, greatest, ref sum);
        for (; j < count; j++) PowerAt(logits + j, greatest, ref tail);
        return sum.Sum() + tail.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PowerAt<V>(float* logits, float greatest, ref V sum) where V : struct, ILanes<V>
    {
        var power = Exponential.Exp2((V.Load(logits) - V.All(greatest)) * V.All(1.44269504f));
        power.Store(logits);
        sum += power;
    }

    /// <summary>x ← x · factor − less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Slopes<V>(float* powers, int count, float factor, float less) where V : struct, ILanes<V>
    {
        var j = 0;
        for (; j <= count - V.Count; j += V.Count) V.MultiplyAdd(V.Load(powers + j), V.All(factor), V.All(-less)).Store(powers + j);
        for (; j < count; j++) powers[j] = (powers[j] * factor) - less;
    }
}
