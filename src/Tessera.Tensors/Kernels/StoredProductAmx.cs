using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Rounded rows times a panel of a quantized weight in tiles (AMX): a block of 32 or 16 columns is a step of <c>tdpbssd</c> for 32 rows and
/// 32 outputs, whose sums are then scaled and added in F32. Two blocks take turns in two buffers, so that the next step need not wait.
/// </summary>
internal static unsafe class StoredProductAmx
{
    private const int Outputs = StoredProductTile.Outputs, Rows = AmxShape.MaxRows, Vector = 16;

    /// <summary>Rows <paramref name="first"/> to <paramref name="end"/> of y.</summary>
    /// <param name="rows">Of all rows.</param>
    /// <param name="first">The first row.</param>
    /// <param name="end">The row after the last.</param>
    /// <param name="panel">32 outputs of the weight.</param>
    /// <param name="y">The first of these outputs, of row 0.</param>
    /// <param name="rowY">Elements from one row of y to the next.</param>
    /// <param name="count">How many outputs there are, up to 32.</param>
    /// <param name="start">32 numbers that each row's sums start from.</param>
    public static void Multiply(
        in StoredProductRows rows, int first, int end, byte* panel, float* y, int rowY, int count, float* start)
    {
        var sums = stackalloc float[Rows * Outputs];
        var products = stackalloc int[2 * Rows * Outputs];
        for (var row = first; row < end; row += Rows)
        {
            var height = Math.Min(Rows, end - row);
            for (var i = 0; i < height; i++) Unsafe.CopyBlock(sums + (i * Outputs), start, Outputs * sizeof(float));
            for (var block = 0; block < rows.Blocks; block++)
            {
                var to = products + (block % 2 * Rows * Outputs);
                var weights = panel + ((long)block * rows.Layout.BlockBytes);
                Multiply(rows, row, height, block, weights, to);
                Scale(rows, row, height, block, weights, to, sums);
            }

            for (var i = 0; i < height; i++)
                Unsafe.CopyBlock(y + ((long)(row + i) * rowY), sums + (i * Outputs), (uint)count * sizeof(float));
        }
    }

    private static void Multiply(in StoredProductRows rows, int row, int height, int block, byte* weights, int* to)
    {
        var columns = rows.Layout.Columns;
        AmxTiles.Multiply(AmxNumbers.SignedBytes, new AmxShape(height, Outputs, columns), new AmxOperands
        {
            A = rows.X.Numbers + ((long)row * rows.X.Columns) + (block * columns), RowA = rows.X.Columns,
            B = weights, RowB = Outputs * sizeof(int), C = to, RowC = Outputs * sizeof(int), Steps = 1,
        });
    }

    /// <summary>Adds a block's products, times scales, less minima, to the sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Scale(in StoredProductRows rows, int row, int height, int block, byte* weights, int* products, float* sums)
    {
        var (x, layout) = (rows.X, rows.Layout);
        var scales = (float*)(weights + layout.Scales);
        var minima = (float*)(weights + layout.Minima);
        var (scales0, scales1) = (Vector512.Load(scales), Vector512.Load(scales + Vector));
        for (var i = 0; i < height; i++, products += Outputs, sums += Outputs)
        {
            var scale = x.Scales[((long)(row + i) * x.Blocks) + (block * layout.Quads / 8)];
            var own = Vector512.Create(scale);
            var sum0 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Vector512.Load(products)) * own, scales0, Vector512.Load(sums));
            var sum1 = Vector512.FusedMultiplyAdd(
                Vector512.ConvertToSingle(Vector512.Load(products + Vector)) * own, scales1, Vector512.Load(sums + Vector));
            if (layout.HasMinimum)
            {
                var numbers = x.Numbers + ((long)(row + i) * x.Columns) + (block * layout.Columns);
                var sum = Vector512.Create(-scale * StoredProductRows.Sum(numbers, layout.Quads));
                sum0 = Vector512.FusedMultiplyAdd(Vector512.Load(minima), sum, sum0);
                sum1 = Vector512.FusedMultiplyAdd(Vector512.Load(minima + Vector), sum, sum1);
            }

            sum0.Store(sums);
            sum1.Store(sums + Vector);
        }
    }
}
