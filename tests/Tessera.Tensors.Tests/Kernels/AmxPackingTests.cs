using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

public unsafe class AmxPackingTests
{
    [LevelFact(KernelLevel.Avx512Bf16)]
    public void Rows_rounded_by_the_processor_are_those_of_the_calculation()
    {
        const int Size = 80, RowTo = 256, Row = 3, Step = 5;
        var numbers = Numbers(Size * Size);
        byte[] found = new byte[32 * RowTo], expected = new byte[32 * RowTo];
        foreach (var rows in (ReadOnlySpan<int>)[1, 2, 31, 32])
            for (var count = 1; count <= Size - Step; count++)
            {
                Array.Fill(found, (byte)0x55);
                Array.Fill(expected, (byte)0x55);
                fixed (float* data = numbers)
                fixed (byte* pointerFound = found, pointerExpected = expected)
                {
                    var product = new MatrixProductOperands { A = data, RowA = Size, ColumnA = 1 };
                    AmxPacking.Rows(data + (Row * Size) + Step, Size, rows, count, pointerFound, RowTo);
                    Bf16Packing.Panel(product, Row, rows, Step, count, (count + 31) / 32 * 32, pointerExpected, RowTo);
                }

                var common = found.AsSpan().CommonPrefixLength(expected);
                Assert.True(common == found.Length, $"{rows} rows of {count}: differs at byte {common}");
            }
    }

    /// <summary>Numbers of many sizes, none subnormal, and among them all that rounding treats apart.</summary>
    private static float[] Numbers(int count)
    {
        var random = new Random(1);
        uint[] special =
        [
            0x7FC00000, 0xFFC00000, 0x7F800001, 0x7F800000, 0xFF800000, 0, 0x80000000, 0x7F7FFFFF, 0xFF7FFFFF, 0x00800000,
            0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0xBF818000,
        ];
        return
        [
            .. Enumerable.Range(0, count).Select(i => i % 7 == 0
                ? BitConverter.UInt32BitsToSingle(special[i / 7 % special.Length])
                : MathF.ScaleB(random.NextSingle() - 0.5f, random.Next(-90, 90))),
        ];
    }
}
