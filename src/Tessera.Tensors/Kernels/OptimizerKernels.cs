using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>What an optimizer does to every weight, and the norm of gradients. Products and sums are rounded together or apart
/// as PyTorch's are, so that long runs stay comparable bit for bit nearly everywhere.</summary>
internal static unsafe class OptimizerKernels
{
    private const int Block = 16;
    private const int MaxNormParts = 64;
    private const int FloatsInNormPart = 16384;

    /// <summary>One tensor of a range of tensors.</summary>
    public struct Row
    {
        public float* Weights, Gradient, First, Second;

        /// <summary>Elements.</summary>
        public int Count;

        /// <summary>Where this tensor begins in the range, in blocks of <see cref="Block"/> elements.</summary>
        public int Start;

        /// <summary>η / c₁, decay d, 1 − d, √c₂: all rounded from double precision once.</summary>
        public float Size, Decay, Keep, Root;
    }

    /// <summary>The numbers that are the same for all tensors of an update.</summary>
    public struct Rule
    {
        public float Intake, SecondKeep, SecondIntake, Momentum, Epsilon, GradientScale;
    }

    /// <summary>How <see cref="Update{TStep}"/> changes some lanes of weights.</summary>
    public interface IStep
    {
        static abstract void Apply<V>(in Row row, in Rule rule, int from, int to) where V : struct, ILanes<V>;
    }

    /// <summary>The blocks that a tensor takes in a range.</summary>
    public static int Blocks(int count) => (int)(((long)count + Block - 1) / Block);

    /// <summary>Applies a step to a range of tensors, cut into equal parts wherever one tensor ends and the next begins.</summary>
    public static void Update<TStep>(Row* rows, int count, int blocks, in Rule rule) where TStep : IStep
    {
        var work = new UpdateWork<TStep>
        {
            Rows = rows,
            Count = count,
            Blocks = blocks,
            Rule = rule,
            Parts = Simd.Parts(blocks, 8 * Block),
        };
        Simd.Run(ref work, work.Parts);
    }

    /// <summary>The sum of squares, added up in double precision in an order that depends on the count alone.</summary>
    public static double Squares(ReadOnlySpan<float> values)
    {
        var sums = stackalloc double[MaxNormParts];
        var parts = Math.Clamp(values.Length / FloatsInNormPart, 1, MaxNormParts);
        fixed (float* pointer = values)
        {
            var work = new SquaresWork { Values = pointer, Count = values.Length, Parts = parts, Sums = sums };
            ThreadTeam.Shared.Run(ref work, parts);
        }

        var sum = 0.0;
        for (var part = 0; part < parts; part++) sum += sums[part];
        return sum;
    }

    /// <summary>m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², w ← (1 − ηλ) w − η/c₁ · m / (√v / √c₂ + ε).</summary>
    public readonly struct AdamW : IStep
    {
        public static void Apply<V>(in Row row, in Rule rule, int from, int to) where V : struct, ILanes<V>
        {
            var scale = V.All(rule.GradientScale);
            var intake = V.All(rule.Intake);
            var (keep, secondIntake) = (V.All(rule.SecondKeep), V.All(rule.SecondIntake));
            var (shrink, size) = (V.All(row.Keep), V.All(-row.Size));
            var (root, epsilon) = (V.All(row.Root), V.All(rule.Epsilon));
            for (var i = from; i < to; i += V.Count)
            {
                var gradient = V.Load(row.Gradient + i) * scale;
                var mean = V.Load(row.First + i);
                mean = V.MultiplyAdd(gradient - mean, intake, mean);
                mean.Store(row.First + i);
                var squares = V.MultiplyAdd(gradient * secondIntake, gradient, V.Load(row.Second + i) * keep);
                squares.Store(row.Second + i);
                var step = size * mean / (V.Sqrt(squares) / root + epsilon);
                ((V.Load(row.Weights + i) * shrink) + step).Store(row.Weights + i);
            }
        }
    }

    /// <summary>g ← g + λ w, b ← μ b + g, w ← w − η (g + μ b).</summary>
    public readonly struct Nesterov : IStep
    {
        public static void Apply<V>(in Row row, in Rule rule, int from, int to) where V : struct, ILanes<V>
        {
            var (scale, momentum) = (V.All(rule.GradientScale), V.All(rule.Momentum));
            var (decay, size) = (V.All(row.Decay), V.All(-row.Size));
            for (var i = from; i < to; i += V.Count)
            {
                var weights = V.Load(row.Weights + i);
                var gradient = V.MultiplyAdd(decay, weights, V.Load(row.Gradient + i) * scale);
                var velocity = (V.Load(row.First + i) * momentum) + gradient;
                velocity.Store(row.First + i);
                V.MultiplyAdd(V.MultiplyAdd(velocity, momentum, gradient), size, weights).Store(row.Weights + i);
            }
        }
    }

    private struct UpdateWork<TStep> : IVectorWork where TStep : IStep
    {
        public Row* Rows;
        public int Count, Blocks, Parts;
        public Rule Rule;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Blocks, Parts, part);
            for (var index = Find(start); index < Count && Rows[index].Start < end; index++)
            {
                ref readonly var row = ref Rows[index];
                var from = Math.Max(0, start - row.Start) * Block;
                var to = (int)Math.Min(row.Count, (long)(end - row.Start) * Block);
                if (from >= to) continue;
                var whole = from + ((to - from) / V.Count * V.Count);
                TStep.Apply<V>(in row, in Rule, from, whole);
                TStep.Apply<Lanes1>(in row, in Rule, whole, to);
            }
        }

        /// <summary>The last row that begins at or before a block.</summary>
        private readonly int Find(int block)
        {
            var (low, high) = (0, Count - 1);
            while (low < high)
            {
                var middle = (low + high + 1) / 2;
                if (Rows[middle].Start <= block) low = middle;
                else high = middle - 1;
            }

            return low;
        }
    }

    private struct SquaresWork : IParallelWork
    {
        public float* Values;
        public int Count, Parts;
        public double* Sums;

        public readonly void Run(int part)
        {
            // Fixed lanes at every kernel level: the order of additions, and so the bits, never change.
            var (from, to) = Simd.Share(Count, Parts, part);
            var (low, high) = (Vector256<double>.Zero, Vector256<double>.Zero);
            var i = from;
            for (; i + 8 <= to; i += 8)
            {
                var (a, b) = Vector256.Widen(Vector256.Load(Values + i));
                (low, high) = (low + (a * a), high + (b * b));
            }

            var sum = Vector256.Sum(low + high);
            for (; i < to; i++) sum += (double)Values[i] * Values[i];
            Sums[part] = sum;
        }
    }
}
