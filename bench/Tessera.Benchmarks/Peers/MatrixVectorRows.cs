using System.Diagnostics;
using Tessera.Tensors;

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
        for (var round = 0; round < Rounds; round++)
        {
            Peak.MeasureBandwidth();
            foreach (var side in sides) side.Measure(x);
        }

        foreach (var side in sides)
        {
            report.Compare(
                $"{side.Type} matrix-vector, {Size} x {Size}: bytes moved, over read bandwidth", Text(side.Rate), Text(Peak.Bandwidth),
                side.Rate / Peak.Bandwidth, Peak.ShareOfBandwidth(side.Rate), Targets.MatrixVector);
        }

        static string Text(double rate) => $"{Report.Number(rate / 1e9)} GB/s";
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
