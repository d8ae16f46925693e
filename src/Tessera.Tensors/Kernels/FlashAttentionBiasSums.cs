using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Gradients of what the queries of a head share in a bias: slopes, a table of buckets, position keys. What one batch row and head,
/// or one item of their queries, adds is summed by itself, and those sums are added up in their order: no timing shows in them.
/// </summary>
internal readonly unsafe struct FlashAttentionBiasSums
{
    private readonly nint _address;
    private readonly long _bytes, _sumBytes;
    private readonly int _itemsOfHead, _queriesOfItem;

    private FlashAttentionBiasSums(in FlashAttentionProblem problem, int queriesOfItem)
    {
        var (count, areDoubles) = problem.Bias.LearnedOfHead;
        (_sumBytes, _queriesOfItem) = (count * (areDoubles ? sizeof(double) : sizeof(float)), queriesOfItem);
        _itemsOfHead = Math.Max(1, FlashAttention.Words(problem.QueryCount, queriesOfItem));
        _bytes = _sumBytes * problem.Heads * (1 + ((long)problem.Batch * _itemsOfHead));
        _address = Arena.Current.Take(_bytes);
    }

    /// <summary>Takes their memory; none where nobody wants them.</summary>
    /// <param name="problem">What is computed.</param>
    /// <param name="gradients">Which gradients are wanted.</param>
    /// <param name="queriesOfItem">How many queries of a head are summed together.</param>
    public static FlashAttentionBiasSums Take(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, int queriesOfItem) =>
        gradients.AreShared ? new FlashAttentionBiasSums(problem, Math.Max(1, queriesOfItem)) : default;

    /// <summary>Whether sums of each tile of queries would take more memory than the queries' gradients do.</summary>
    public static bool AreLarge(in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients) =>
        gradients.AreShared && 2 * problem.Bias.LearnedOfHead.Count > (long)FlashAttentionTile.Size * problem.Width;

    /// <summary>The sums, 0 at first, of the item that begins with a query; null where nobody wants them.</summary>
    public void* Begin(in FlashAttentionProblem problem, int batch, int head, int firstQuery)
    {
        if (_address == 0) return null;
        var sums = At(problem, batch, head, firstQuery / _queriesOfItem);
        NativeMemory.Clear(sums, (nuint)_sumBytes);
        return sums;
    }

    /// <summary>Adds all sums to the gradients and gives the memory back.</summary>
    public void AddUp(in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients)
    {
        if (_address == 0) return;
        if (gradients.ByDistance is { } bias)
        {
            AddDoubles(problem, bias);
        }
        else
        {
            var rows = (int)(problem.Bias.LearnedOfHead.Count / problem.Bias.LearnedWidth);
            var work = new RowWork { Problem = problem, Gradients = gradients, Sums = this, Rows = rows };
            Simd.Run(ref work, work.Parts = Simd.Parts(rows, (long)problem.Batch * problem.Heads * problem.Bias.LearnedWidth));
        }

        Arena.Current.Return(_address, _bytes);
    }

    private void* At(in FlashAttentionProblem problem, int batch, int head, int item) =>
        (byte*)_address + (_sumBytes * (problem.Heads + ((((long)batch * problem.Heads) + head) * _itemsOfHead) + item));

    private void AddDoubles(in FlashAttentionProblem problem, DistanceBias bias)
    {
        var count = bias.LearnedOfHead;
        var all = new Span<double>((void*)_address, problem.Heads * count);
        all.Clear();
        for (var batch = 0; batch < problem.Batch; batch++)
        {
            for (var head = 0; head < problem.Heads; head++)
            {
                var sums = all.Slice(head * count, count);
                for (var item = 0; item < _itemsOfHead; item++)
                    TensorPrimitives.Add(sums, new Span<double>(At(problem, batch, head, item), count), sums);
            }
        }

        bias.AddGradient(all);
    }

    /// <summary>Position keys, a distance at a time.</summary>
    private struct RowWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public FlashAttentionBiasGradients Gradients;
        public FlashAttentionBiasSums Sums;
        public int Rows, Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                for (var head = 0; head < Problem.Heads; head++)
                {
                    for (var item = 0; item < Problem.Batch * Sums._itemsOfHead; item++)
                    {
                        var sums = Sums.At(Problem, item / Sums._itemsOfHead, head, item % Sums._itemsOfHead);
                        Problem.Bias.AddSums<V>(Gradients, head, row, (float*)sums);
                    }
                }
            }
        }
    }
}
