using System.Diagnostics;
using System.Numerics.Tensors;
using Tessera.Tensors;
using Tensor = Tessera.Tensors.Tensor;

namespace Tessera.Benchmarks.Peers;

/// <summary>
/// Products of stored weights and one vector, as bytes of weights a second over what as many threads read in the same run
/// with a plain sum. Both go over more memory than the caches hold: the sum over one array, the products over many matrices
/// in turn.
/// </summary>
internal static class MatrixVectorRows
{
    private const int Rounds = 3, Passes = 6, Size = 4096;
    private const int WorkingSet = 1 << 29;

    public static void Run(Report report)
    {
        var (x, drawn) = (Drawn.Normal([1, Size], 1), Drawn.Normal([Size, Size], 2));
        ElementType[] types = [ElementType.Q8_0, ElementType.BF16, ElementType.Q4_0, ElementType.Q4_K, ElementType.Q6_K];
        Side[] sides = [.. types.Select(type => new Side(drawn, type))];
        var array = Tensor.Allocate([WorkingSet / sizeof(float)]);
        array.Floats.Fill(1); // pages that were never written would all be the same one
        var memory = 0.0;
        for (var round = 0; round < Rounds; round++)
        {
            memory = Math.Max(memory, ReadRate(array));
            foreach (var side in sides) side.Measure(x);
        }

        foreach (var side in sides)
        {
            var work = $"{side.Type} matrix-vector, {Size} x {Size}: bytes moved, over read bandwidth";
            if (side.Type is ElementType.Q8_0 or ElementType.BF16)
                report.Compare(work, Text(side.Rate), Text(memory), side.Rate / memory, Targets.MatrixVector);
            else report.Detail(work, Text(side.Rate), Text(memory), side.Rate / memory);
        }

        static string Text(double rate) => $"{Report.Number(rate / 1e9)} GB/s";
    }

    /// <summary>Bytes a second of a vectorised sum by as many threads as Tessera uses.</summary>
    private static double ReadRate(Tensor array)
    {
        var best = double.MaxValue;
        for (var pass = 0; pass < Passes; pass++)
        {
            var start = Stopwatch.GetTimestamp();
            var threads = Enumerable.Range(0, Processor.Threads).Select(part => new Thread(() => Sum(array, part))).ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return WorkingSet / best;
    }

    private static void Sum(Tensor array, int part)
    {
        var each = array.Floats.Length / Processor.Threads;
        if (TensorPrimitives.Sum<float>(array.Floats.Slice(part * each, each)) == 0)
            throw new InvalidOperationException("ones add up to zero");
    }

    /// <summary>Matrices of one type, and the best rate of going over them.</summary>
    private sealed class Side
    {
        private readonly Tensor[] _matrices;
        private int _next;

        public Side(Tensor drawn, ElementType type)
        {
            Type = type;
            var first = Tensor.Allocate(drawn.Shape, type);
            Op.Convert(drawn, first);
            _matrices = [first, .. Enumerable.Range(0, WorkingSet / first.Bytes.Length).Select(_ => first.Keep())];
        }

        public ElementType Type { get; }

        /// <summary>Bytes of weights a second.</summary>
        public double Rate { get; private set; }

        public void Measure(Tensor x)
        {
            Timing.WarmUp(() => Multiply(x));
            for (var pass = 0; pass < Passes; pass++)
            {
                var start = Stopwatch.GetTimestamp();
                for (var i = 0; i < _matrices.Length; i++)
                {
                    using var scope = Arena.Current.Scope();
                    Multiply(x);
                }

                Rate = Math.Max(Rate, (double)_matrices[0].Bytes.Length * _matrices.Length / Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }

        private void Multiply(Tensor x) => Op.Linear(x, _matrices[_next++ % _matrices.Length]);
    }
}
