using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Matrix products <c>y = x Wᵀ</c> against PyTorch's: MKL or OpenBLAS for F32, oneDNN for BF16.</summary>
internal static class ProductRows
{
    private const int Rounds = 2;
    private const int MinRows = 256;

    public static void F32(Report report, TorchPeer peers)
    {
        var sides = Measure(peers, "float32", Precision.F32);
        Sum(report, "F32 product, m >= 256", sides, Targets.ProductF32, Targets.ProductF32);
        Details(report, "F32 product", sides);
    }

    /// <summary>Many rows as training multiplies: F32 activations rounded in each call, weights packed once as they are in an
    /// optimizer step. Few rows as inference does: weights stored in BF16.</summary>
    public static void Bf16(Report report, TorchPeer peers)
    {
        var sides = Measure(peers, "bfloat16", Precision.BF16);
        Sum(report, "BF16 product, m >= 256", sides, Targets.ProductBf16, Targets.WorstProductBf16);
        foreach (var side in sides.Where(side => side.Shape.M < MinRows))
        {
            report.Compare(
                $"BF16 product, {side.Shape}", Rate(side.Ours), Rate(side.Peer), side.Ratio, side.Share,
                side.Shape.M == 1 ? Targets.VectorProductBf16 : Targets.ThinProductBf16);
        }

        Details(report, "BF16 product", sides);
    }

    /// <summary>Rates in GFLOP/s of both sides for each shape that the peer's script names, measured in turn.</summary>
    private static List<Sides> Measure(TorchPeer peers, string type, Precision precision)
    {
        var sides = new Dictionary<ProductShape, Sides>();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var line in peers.Run("gemm", peers.IsCurrent ? ["--dtype", type] : []).Lines)
            {
                if (line.GetProperty("dtype").GetString() != type) continue;
                var shape = new ProductShape(Size("m"), Size("n"), Size("k"));
                if (!sides.TryGetValue(shape, out var known)) sides[shape] = known = new Sides(shape, precision);
                known.Peer = Math.Max(known.Peer, TorchPeer.Number(line, "gflops"));

                int Size(string key) => (int)TorchPeer.Number(line, key);
            }

            foreach (var side in sides.Values)
                side.Ours = Math.Max(side.Ours, side.Shape.Gigaflops / new Product(side.Shape, precision).Measure());
        }

        return [.. sides.Values];
    }

    /// <summary>Two lines for all shapes with many rows: their geometric mean and the worst.</summary>
    private static void Sum(Report report, string work, IEnumerable<Sides> all, Targets targets, Targets worsts)
    {
        var sides = all.Where(side => side.Shape.M >= MinRows).ToList();
        report.Compare(
            $"{work}: geometric mean of {sides.Count} shapes", Mean(side => side.Ours), Mean(side => side.Peer),
            Math.Exp(sides.Average(side => Math.Log(side.Ratio))),
            Share(Math.Exp(sides.Average(side => Math.Log(side.Ours))), sides[0].Precision), targets);
        var worst = sides.MinBy(side => side.Ratio)!;
        report.Compare($"{work}: the worst, {worst.Shape}", Rate(worst.Ours), Rate(worst.Peer), worst.Ratio, worst.Share, worsts);

        string Mean(Func<Sides, double> rate) => Rate(Math.Exp(sides.Average(side => Math.Log(rate(side)))));
    }

    private static void Details(Report report, string work, IEnumerable<Sides> all)
    {
        foreach (var side in all) report.Detail($"{work} {side.Shape}", Rate(side.Ours), Rate(side.Peer), side.Ratio, side.Share);
    }

    private static string Rate(double gigaflops) => $"{Report.Number(gigaflops)} GFLOP/s";

    private static string Share(double gigaflops, Precision precision) => Peak.Share(precision, gigaflops * 1e9, 1);

    private sealed class Sides(ProductShape shape, Precision precision)
    {
        public Precision Precision => precision;

        public ProductShape Shape => shape;

        public double Ours { get; set; }

        public double Peer { get; set; }

        public double Ratio => Ours / Peer;

        /// <summary>Of what the machine multiplies; of what it reads of weights where they meet one row.</summary>
        public string Share => shape.M > 1 ? ProductRows.Share(Ours, precision)
            : Peak.ShareOfBandwidth(Ours / shape.Gigaflops * shape.N * shape.K * (precision == Precision.F32 ? 4 : 2));
    }

    private sealed class Product(ProductShape shape, Precision precision)
    {
        private readonly Tensor _x = Drawn.Normal([shape.M, shape.K], 1);
        private readonly Tensor _weight = Weight(shape, precision);

        /// <summary>Seconds of one product.</summary>
        public double Measure()
        {
            using var scope = Autocast.Enter(precision);
            return Timing.Best(() =>
            {
                // A parameter is packed once a scope where its gradient is recorded, as in an optimizer step.
                using var tape = Tape.Record();
                Op.Linear(_x, _weight);
            });
        }

        private static Tensor Weight(ProductShape shape, Precision precision)
        {
            var drawn = Drawn.Normal([shape.N, shape.K], 2);
            if (precision == Precision.F32 || shape.M >= MinRows) return drawn.WithGradient();
            var stored = Tensor.Allocate(drawn.Shape, ElementType.BF16);
            Op.Convert(drawn, stored);
            return stored;
        }
    }
}

/// <summary>A product of [m, k] and the transpose of [n, k].</summary>
internal sealed record ProductShape(int M, int N, int K)
{
    /// <summary>Multiplications and additions, in thousands of millions.</summary>
    public double Gigaflops => 2e-9 * M * N * K;

    public override string ToString() => $"{M} x {N} x {K}";
}
