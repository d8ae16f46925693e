using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// What attention does to each score of a tile, [keys, lanes]: the parts of the softmax whose cost counts beside the products.
/// <para>Compiled with AggressiveOptimization, and with all that the loops need in locals: a power is 14 operations on two ports, and
/// nothing else may take its time.</para>
/// </summary>
internal static unsafe class FlashAttentionSoftmax
{
    /// <summary>How far, in powers of two, scores may rise above a row's reference before it is moved to the largest of them. Sums and
    /// outputs are as exact with any reference, and moving it seldom spares most passes over the output.</summary>
    public const float Slack = 8;

    /// <summary>The largest score of each lane.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Largest<V>(float* scores, int keys, int lanes, float* largest) where V : struct, ILanes<V>
    {
        for (var lane = 0; lane < lanes; lane += V.Count)
        {
            // Four chains: a maximum takes four cycles, and two begin in each.
            var score = scores + lane;
            V a = V.Load(score), b = a, c = a, d = a;
            var key = 0;
            for (; key + 4 <= keys; key += 4, score += 4 * lanes)
            {
                a = V.Larger(a, V.Load(score));
                b = V.Larger(b, V.Load(score + lanes));
                c = V.Larger(c, V.Load(score + (2 * lanes)));
                d = V.Larger(d, V.Load(score + (3 * lanes)));
            }

            for (; key < keys; key++, score += lanes) a = V.Larger(a, V.Load(score));
            V.Larger(V.Larger(a, b), V.Larger(c, d)).Store(largest + lane);
        }
    }

    /// <summary>Moves the references of those lanes whose largest score is more than <see cref="Slack"/> above it.</summary>
    /// <param name="largest">[lanes]: replaced by how far references have moved, old less new.</param>
    /// <returns>Whether one has moved.</returns>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static bool Raise(float* reference, float* largest, int lanes)
    {
        var moved = false;
        for (var lane = 0; lane < lanes; lane++)
        {
            var (old, top) = (reference[lane], largest[lane]);
            largest[lane] = 0;
            if (!(top > old + Slack)) continue;
            (reference[lane], largest[lane]) = (top, old - top);
            moved = true;
        }

        return moved;
    }

    /// <summary>Turns scores into powers of two of what they are above the reference, and adds each lane's to its sum.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Powers<V>(float* scores, int keys, int lanes, float* reference, float* sums) where V : struct, ILanes<V>
    {
        for (var lane = 0; lane < lanes; lane += V.Count)
        {
            V below = V.Load(reference + lane), even = V.Load(sums + lane), odd = V.Zero;
            var score = scores + lane;
            var key = 0;
            for (; key + 2 <= keys; key += 2, score += 2 * lanes)
            {
                V first = V.Exp2(V.Load(score) - below), second = V.Exp2(V.Load(score + lanes) - below);
                first.Store(score);
                second.Store(score + lanes);
                even += first;
                odd += second;
            }

            if (key < keys)
            {
                var last = V.Exp2(V.Load(score) - below);
                last.Store(score);
                even += last;
            }

            (even + odd).Store(sums + lane);
        }
    }

    /// <summary>Turns scores into probabilities p, and gradients g of probabilities into those of scores, <c>p · (g − flow)</c>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Differentiate<V>(float* scores, float* gradients, int keys, int lanes, float* logSums, float* flows)
        where V : struct, ILanes<V>
    {
        for (var lane = 0; lane < lanes; lane += V.Count)
        {
            V logSum = V.Load(logSums + lane), flow = V.Load(flows + lane);
            float* score = scores + lane, gradient = gradients + lane;
            for (var key = 0; key < keys; key++, score += lanes, gradient += lanes)
            {
                var probability = V.Exp2(V.Load(score) - logSum);
                probability.Store(score);
                (probability * (V.Load(gradient) - flow)).Store(gradient);
            }
        }
    }
}
