namespace Tessera.Tensors.Kernels;

/// <summary>How the elements of a product are shared out: the same rectangles whatever the threads do.</summary>
internal readonly unsafe record struct MatrixProductCut(int Rows, int Columns)
{
    /// <summary>Below this many multiplications a part is not worth handing to another thread.</summary>
    public const long SmallestPart = 1 << 17;

    /// <summary>The same where each element of b is read from memory for a few rows only.</summary>
    private const long SmallestPartOfDots = 1 << 15;

    public int Parts => Rows * Columns;

    /// <summary>The cut of a product for the threads there are.</summary>
    public static MatrixProductCut Of(in MatrixProductOperands product)
    {
        var (m, n, k) = (product.M, product.N, product.K);
        var dots = MatrixProductDots.Suits(product);
        var max = (int)Math.Min((long)m * n * k / (dots ? SmallestPartOfDots : SmallestPart), 4L * Simd.Threads);
        if (max <= 1 || Simd.Threads == 1) return new MatrixProductCut(1, 1);
        if (dots) max += (Simd.Threads - (max % Simd.Threads)) % Simd.Threads; // as many parts for each thread
        if (dots) return n >= m ? new MatrixProductCut(1, max) : new MatrixProductCut(max, 1);

        // More parts than threads even out what else the machine does, as long as the copies of what they share are cheap.
        for (var parts = max; ; parts = Math.Max(parts / 2, Simd.Threads))
        {
            var cut = Best(parts, product);
            if (parts <= Simd.Threads || cut.Overhead(product) * 20 < (long)m * n) return cut;
        }
    }

    /// <summary>The rows of a part, whole tiles but for the last.</summary>
    public (int Start, int End) RowsOf(int part, int m, int unit) => Share(m, unit, Rows, part / Columns);

    /// <summary>The columns of a part, whole tiles but for the last.</summary>
    public (int Start, int End) ColumnsOf(int part, int n, int unit) => Share(n, unit, Columns, part % Columns);

    private static (int Start, int End) Share(int items, int unit, int parts, int part)
    {
        var (start, end) = Simd.Share((items + unit - 1) / unit, parts, part);
        return (Math.Min(items, start * unit), Math.Min(items, end * unit));
    }

    private static MatrixProductCut Best(int parts, in MatrixProductOperands product)
    {
        var best = new MatrixProductCut(parts, 1);
        for (var rows = 1; rows < parts; rows++)
        {
            var cut = new MatrixProductCut(rows, parts / rows);
            if (cut.Parts == parts && cut.Overhead(product) < best.Overhead(product)) best = cut;
        }

        return best;
    }

    /// <summary>What all parts spend on packing, or on reading what is packed, in multiplications of the tile's pace for
    /// each step of k.</summary>
    private long Overhead(in MatrixProductOperands product)
    {
        const int Reading = 2;
        var packing = product.Kind == MatrixProductKind.Bf16 ? 16 : 8;
        return ((long)product.M * Columns * packing) + ((long)product.N * Rows * (product.PackedB == null ? packing : Reading));
    }
}
