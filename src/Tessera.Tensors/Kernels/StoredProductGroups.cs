namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of groups of few rounded rows with a quantized weight, as when few tokens visit many experts: pieces of all groups are one job,
/// so that threads do not wait for each other after each expert. Larger groups go through <see cref="StoredProductTiles"/>.
/// </summary>
internal static unsafe class StoredProductGroups
{
    /// <summary>Outputs of the smallest piece.</summary>
    private const int SmallestPiece = 64;

    /// <summary>Rows of y = rows of x × the group's matrix, transposed, for groups of up to <paramref name="max"/> rows; other rows
    /// are left alone.</summary>
    /// <param name="x">rows × k.</param>
    /// <param name="w">[groups · n] × k.</param>
    /// <param name="offsets">One more than there are groups, within the rows.</param>
    /// <param name="max">Groups of more rows are left out.</param>
    /// <param name="y">rows × n.</param>
    public static void MultiplyFew(in QuantizedActivations x, StoredMatrix w, ReadOnlySpan<int> offsets, int max, Span<float> y)
    {
        var (groups, rows) = (0, 0);
        for (var group = 0; group < offsets.Length - 1; group++)
        {
            var count = offsets[group + 1] - offsets[group];
            if (count == 0 || count > max) continue;
            groups++;
            rows += count;
        }

        if (groups == 0) return;
        fixed (byte* weights = w.Data)
        fixed (float* target = y)
        fixed (int* places = offsets)
        {
            var n = w.Rows / (offsets.Length - 1);
            var work = new Work
            {
                X = x, Weights = weights, Y = target, Offsets = places, Max = max, Outputs = n, RowBytes = w.RowBytes, Type = w.Type,
                Split = Simd.Threads == 1 ? 1 : Math.Clamp(4 * Simd.Threads / groups, 1, Math.Max(1, n / SmallestPiece)),
            };
            work.Pieces = groups * work.Split;
            work.Parts = Simd.Parts(work.Pieces, (long)rows * x.Columns * n / work.Pieces);
            Simd.Run(ref work, work.Parts);
        }
    }

    /// <summary>The rows of a group in the order of the dot products.</summary>
    [ThreadStatic] private static NativeBuffer? s_order;

    private struct Work : IVectorWork
    {
        public QuantizedActivations X;
        public byte* Weights;
        public float* Y;
        public int* Offsets;
        public int Max, Outputs, Split, Pieces, Parts;
        public long RowBytes;
        public ElementType Type;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (piece, end) = Simd.Share(Pieces, Parts, part);
            var order = StoredProductDotRows.Suits(X.Columns) ? (byte*)NativeBuffer.AtLeast(ref s_order, Max * X.OrderedStride) : null;
            for (; piece < end; piece++)
            {
                var group = Group(piece / Split);
                var (start, count) = (Offsets[group], Offsets[group + 1] - Offsets[group]);
                var x = X.Part(start, count);
                new StoredProductDots.Work
                {
                    X = x.Ordered == null && order != null ? x.WithOrder(order) : x,
                    Weights = Weights + ((long)group * Outputs * RowBytes), Y = Y + ((long)start * Outputs),
                    Outputs = Outputs, RowBytes = RowBytes, Type = Type, Parts = Split,
                }.Run<V>(piece % Split);
            }
        }

        /// <summary>The group of few rows that has so many of them before it.</summary>
        private readonly int Group(int place)
        {
            for (var group = 0; ; group++)
            {
                var count = Offsets[group + 1] - Offsets[group];
                if (count > 0 && count <= Max && place-- == 0) return group;
            }
        }
    }
}
