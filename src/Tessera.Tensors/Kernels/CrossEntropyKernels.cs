using System.Numerics.Tensors;
using Tessera.Tensors.Threading;

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
    public static void Rows(Span<float> logits, ReadOnlySpan<int> targets, Span<float> losses, in CrossEntropySettings settings, float gradientScale)
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
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    private struct Work : IParallelWork
    {
        public float* Logits, Losses;
        public int* Targets;
        public int Rows, Classes, Parts;
        public CrossEntropySettings Settings;
        public float Scale;

        public readonly void Run(int part)
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++) Losses[row] = Row(new Span<float>(Logits + ((long)row * Classes), Classes), Targets[row]);
        }

        /// <summary>With log-sum-exp s and smoothing ε the loss is s − (1 − ε) x_t − ε mean(x) + z s².</summary>
        private readonly float Row(Span<float> logits, int target)
        {
            if (target < 0)
            {
                logits.Clear();
                return 0;
            }

            var greatest = TensorPrimitives.Max<float>(logits);
            var (wanted, mean) = (logits[target], Settings.Smoothing > 0 ? TensorPrimitives.Sum<float>(logits) / Classes : 0);
            TensorPrimitives.Subtract(logits, greatest, logits);
            TensorPrimitives.Exp(logits, logits);
            var total = TensorPrimitives.Sum<float>(logits);
            var logSum = greatest + MathF.Log(total);
            if (Scale != 0)
            {
                TensorPrimitives.Multiply(logits, Scale * (1 + (2 * Settings.ZWeight * logSum)) / total, logits);
                if (Settings.Smoothing > 0) TensorPrimitives.Subtract(logits, Scale * Settings.Smoothing / Classes, logits);
                logits[target] -= Scale * (1 - Settings.Smoothing);
            }

            return logSum - ((1 - Settings.Smoothing) * wanted) - (Settings.Smoothing * mean) + (Settings.ZWeight * logSum * logSum);
        }
    }
}
