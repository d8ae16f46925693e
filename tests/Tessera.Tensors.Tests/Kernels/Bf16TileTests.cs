using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

public class Bf16TileTests
{
    [LevelFact(KernelLevel.Avx512Bf16)]
    public void Tiles_of_every_size_agree_with_double_precision()
    {
        var random = new Random(1);
        for (var rows = 1; rows <= Bf16Tile.MaxRows; rows++)
            for (var vectors = 1; vectors <= 2; vectors++)
                foreach (var pairs in new[] { 1, 2, 3, 4, 5, 8, 31, 130 })
                    Verify(rows, vectors, pairs, add: pairs % 2 == 0, gap: 8 * random.Next(3), random);
    }

    private static unsafe void Verify(int rows, int vectors, int pairs, bool add, int gap, Random random)
    {
        var columns = vectors * Bf16Tile.VectorColumns;
        var (rowA, rowB, rowC) = ((2 * pairs) + gap, (2 * columns) + gap, columns + gap);
        var a = Elements(rows * rowA, random);
        var b = Elements(pairs * rowB, random);
        var c = Enumerable.Range(0, rows * rowC).Select(_ => random.NextSingle()).ToArray();
        var before = c.ToArray();
        var inPairs = InPairs(a, rows, rowA, pairs);
        var other = c.ToArray();
        fixed (ushort* pa = a, pb = b, pPairs = inPairs)
        fixed (float* pc = c, pOther = other)
        {
            var operands = new Bf16TileOperands
            {
                A = pa, StrideA = rowA * 2, B = pb, StrideB = rowB * 2, C = pc, StrideC = rowC * 4, Pairs = pairs, Add = add ? 1 : 0,
            };
            Bf16Tile.Run(rows, vectors, operands);
            operands.A = pPairs;
            operands.StrideA = 0;
            operands.C = pOther;
            Bf16Tile.Run(rows, vectors, operands);
        }

        Assert.Equal(c, other);

        for (var i = 0; i < c.Length; i++)
        {
            var (row, column) = (i / rowC, i % rowC);
            var (sum, size) = add ? (before[i], 1.0) : (0.0, 0.0);
            for (var k = 0; column < columns && k < 2 * pairs; k++)
            {
                var product = (double)Float(a[(row * rowA) + k]) * Float(b[(k / 2 * rowB) + (2 * column) + (k % 2)]);
                (sum, size) = (sum + product, size + Math.Abs(product));
            }

            if (column >= columns) Assert.Equal(before[i], c[i]);
            else
                Assert.True(
                    Math.Abs(sum - c[i]) <= 1e-6 * size, $"{rows} x {vectors}, {pairs} pairs: ({row}, {column}) is {c[i]}, expected {sum}");
        }
    }

    /// <summary>The same rows, the two elements of each pair of steps side by side for one row after the other.</summary>
    private static ushort[] InPairs(ushort[] a, int rows, int rowA, int pairs)
    {
        var result = new ushort[pairs * Bf16Tile.LanesOfPairs * 2];
        for (var row = 0; row < rows; row++)
            for (var k = 0; k < 2 * pairs; k++) result[(((k / 2 * Bf16Tile.LanesOfPairs) + row) * 2) + (k % 2)] = a[(row * rowA) + k];
        return result;
    }

    private static ushort[] Elements(int count, Random random) =>
        [.. Enumerable.Range(0, count).Select(_ => (ushort)(BitConverter.SingleToUInt32Bits((2 * random.NextSingle()) - 1) >> 16))];

    private static float Float(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
