using System.Runtime.InteropServices;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>Block products on emulated tiles, and on those of the processor where it has them.</summary>
[Collection(AmxCollection.Name)]
public unsafe class AmxTilesTests
{
    private const float Untouched = 12345;

    private static readonly int[] s_depths = [1, 2, 31, 32, 33, 64, 100];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Blocks_of_every_shape_agree_with_double_precision(bool add)
    {
        for (var rows = 1; rows <= AmxShape.MaxRows; rows++)
            for (var columns = 1; columns <= AmxShape.MaxColumns; columns++)
                foreach (var k in s_depths)
                    new Block(rows, columns, k, add, Gap: (rows * columns) % 3).VerifyEmulated();
    }

    [LevelFact(KernelLevel.Amx)]
    public void Blocks_of_every_shape_agree_with_double_precision_on_this_processor()
    {
        for (var rows = 1; rows <= AmxShape.MaxRows; rows++)
            for (var columns = 1; columns <= AmxShape.MaxColumns; columns++)
                foreach (var k in s_depths)
                    new Block(rows, columns, k, Add: (rows + columns) % 2 == 0, Gap: (rows * columns) % 3).Verify();
    }

    [Fact]
    public void Blocks_of_bytes_are_exact()
    {
        foreach (var (rows, columns) in (ReadOnlySpan<(int, int)>)[(1, 1), (16, 16), (17, 16), (16, 17), (32, 32), (31, 7), (3, 29)])
            foreach (var (stepBytes, steps) in (ReadOnlySpan<(int, int)>)[(64, 1), (64, 3), (32, 1), (32, 2), (4, 1)])
                foreach (var numbers in (ReadOnlySpan<AmxNumbers>)[AmxNumbers.SignedBytes, AmxNumbers.UnsignedBytes])
                {
                    using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
                    VerifyBytes(numbers, rows, columns, stepBytes, steps, add: steps == 3);
                }
    }

    [LevelFact(KernelLevel.Amx)]
    public void Blocks_of_bytes_are_exact_on_this_processor()
    {
        foreach (var (rows, columns) in (ReadOnlySpan<(int, int)>)[(1, 1), (16, 16), (17, 16), (16, 17), (32, 32), (31, 7), (3, 29)])
            foreach (var (stepBytes, steps) in (ReadOnlySpan<(int, int)>)[(64, 1), (64, 3), (32, 1), (32, 2), (4, 1)])
                foreach (var numbers in (ReadOnlySpan<AmxNumbers>)[AmxNumbers.SignedBytes, AmxNumbers.UnsignedBytes])
                    VerifyBytes(numbers, rows, columns, stepBytes, steps, add: steps == 3);
    }

    [Fact]
    public void Tiles_are_configured_once_a_shape_and_released_at_the_end()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        var (a, b, c) = (new ushort[32 * 64], new ushort[64 * 32], new float[32 * 32]);
        fixed (ushort* pointerA = a, pointerB = b)
        fixed (float* pointerC = c)
        {
            var operands = new AmxOperands
            {
                A = pointerA, RowA = 128, StepA = 64, B = pointerB, RowB = 128, StepB = 16 * 128, C = pointerC, RowC = 128, Steps = 2,
            };
            for (var i = 0; i < 3; i++) AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(32, 32), operands);
            for (var i = 0; i < 3; i++) AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(32, 8), operands);
            Assert.True(Assert.Single(emulation.Threads).Configured);
            AmxTiles.Release();
        }

        var thread = Assert.Single(emulation.Threads);
        Assert.False(thread.Configured);
        Assert.Equal(2, thread.Configurations);

        // Two steps each of four and four, then of three loads (b has one tile) and two products.
        Assert.Equal(3 * 2 * (4 + 3), thread.Loads);
        Assert.Equal(3 * 2 * (4 + 2), thread.Products);
    }

    [Fact]
    public void Tiles_that_were_not_used_run_nothing()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory());
        AmxTiles.Release();
        Assert.Empty(emulation.Threads);
    }

    [Fact]
    public void No_steps_leave_c_or_clear_it()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        var c = stackalloc float[4] { 1, 2, 3, 4 };
        var operands = new AmxOperands { C = c, RowC = 8, Add = 1 };
        AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(2, 2), operands);
        Assert.Equal([1, 2, 3, 4], new ReadOnlySpan<float>(c, 4).ToArray());
        operands.Add = 0;
        AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(2, 2), operands);
        Assert.Equal([0, 0, 0, 0], new ReadOnlySpan<float>(c, 4).ToArray());
        AmxTiles.Release();
    }

    [Theory]
    [InlineData(0, 1, 64, "rows")]
    [InlineData(33, 1, 64, "rows")]
    [InlineData(1, 0, 64, "columns")]
    [InlineData(1, 33, 64, "columns")]
    [InlineData(1, 1, 0, "stepBytes")]
    [InlineData(1, 1, 6, "stepBytes")]
    [InlineData(1, 1, 68, "stepBytes")]
    public void A_shape_that_tiles_cannot_have_is_refused(int rows, int columns, int stepBytes, string parameter) =>
        Assert.Equal(parameter, Assert.Throws<ArgumentOutOfRangeException>(() => new AmxShape(rows, columns, stepBytes)).ParamName);

    private static void VerifyBytes(AmxNumbers numbers, int rows, int columns, int stepBytes, int steps, bool add)
    {
        var k = stepBytes * steps;
        var random = new Random(rows + columns);
        var (a, b) = (new byte[rows * k], new byte[k * columns]);
        random.NextBytes(a);
        random.NextBytes(b);
        var c = Enumerable.Range(0, rows * columns).Select(_ => random.Next()).ToArray();
        var expected = c.ToArray();
        for (var i = 0; i < rows; i++)
            for (var j = 0; j < columns; j++)
            {
                var sum = add ? expected[(i * columns) + j] : 0;
                for (var p = 0; p < k; p++)
                {
                    int left = numbers == AmxNumbers.SignedBytes ? (sbyte)a[(i * k) + p] : a[(i * k) + p];
                    sum = unchecked(sum + (left * (sbyte)b[(p / 4 * columns * 4) + (j * 4) + (p % 4)]));
                }

                expected[(i * columns) + j] = sum;
            }

        fixed (byte* pointerA = a, pointerB = b)
        fixed (int* pointerC = c)
        {
            AmxTiles.Multiply(numbers, new AmxShape(rows, columns, stepBytes), new AmxOperands
            {
                A = pointerA, RowA = k, StepA = stepBytes, B = pointerB, RowB = columns * 4, StepB = stepBytes / 4 * columns * 4,
                C = pointerC, RowC = columns * sizeof(int), Steps = steps, Add = add ? 1 : 0,
            });
            AmxTiles.Release();
        }

        Assert.Equal(expected, c);
    }

    /// <summary>One block of BF16; rows of a, b and c are a few elements further apart than they are long, and every element
    /// that is not part of the product is not a number.</summary>
    private sealed record Block(int Rows, int Columns, int K, bool Add, int Gap)
    {
        private readonly ushort[] _a = Filled(Rows * (Padded(K) + Gap)), _b = Filled(Padded(K) / 2 * ((2 * Columns) + (2 * Gap)));
        private readonly float[] _c = [.. Enumerable.Repeat(Untouched, Rows * (Columns + Gap))];

        private int RowA => Padded(K) + Gap;

        private int RowB => 2 * (Columns + Gap);

        private int RowC => Columns + Gap;

        private static int Padded(int k) => (k + 31) / 32 * 32;

        private static ushort[] Filled(int count) => [.. Enumerable.Repeat((ushort)0x7FC0, count)];

        private static float Value(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

        /// <summary>Runs with nothing declared but the elements of the product themselves.</summary>
        public void VerifyEmulated()
        {
            var memory = new EmulatedMemory();
            using var emulation = new AmxEmulation(memory);
            Verify(memory);
            Assert.False(Assert.Single(emulation.Threads).Configured);
        }

        public void Verify(EmulatedMemory? memory = null)
        {
            var expected = Prepare();
            var before = _c.ToArray();
            fixed (ushort* a = _a, b = _b)
            fixed (float* c = _c)
            {
                var operands = new AmxOperands
                {
                    A = a, RowA = 2 * RowA, StepA = 64, B = b, RowB = 2 * RowB, StepB = 16 * 2 * RowB, C = c, RowC = 4 * RowC,
                    Steps = Padded(K) / 32, Add = Add ? 1 : 0,
                };
                if (memory is not null) Declare(memory, operands);
                AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(Rows, Columns), operands);
                AmxTiles.Release();
            }

            var tolerance = Math.ScaleB(1, -23) * (Math.Sqrt(K) + 2) * Math.Max(2, Math.Sqrt(K));
            for (var i = 0; i < Rows; i++)
                for (var j = 0; j < RowC; j++)
                {
                    var (found, at) = (_c[(i * RowC) + j], (i * RowC) + j);
                    if (j >= Columns) Assert.Equal(before[at], found);
                    else if (!(Math.Abs(expected[(i * Columns) + j] - found) <= tolerance))
                        Assert.Fail($"{this}: ({i}, {j}) is {found}, expected {expected[(i * Columns) + j]}");
                }
        }

        private void Declare(EmulatedMemory memory, in AmxOperands operands)
        {
            for (var i = 0; i < Rows; i++)
            {
                memory.Declare((byte*)operands.A + (i * operands.RowA), 2 * Padded(K));
                memory.Declare((byte*)operands.C + (i * operands.RowC), 4 * Columns, writable: true);
            }

            for (var i = 0; i < Padded(K) / 2; i++) memory.Declare((byte*)operands.B + (i * operands.RowB), 4 * Columns);
        }

        /// <summary>Fills the operands, zeros beyond k, and returns the product in double precision.</summary>
        private double[] Prepare()
        {
            var random = new Random((Rows * 1000) + (Columns * 10) + K);
            ushort Next(int k) => k < K ? (ushort)(BitConverter.SingleToUInt32Bits((2 * random.NextSingle()) - 1) >> 16) : (ushort)0;
            for (var i = 0; i < Rows; i++)
            {
                for (var k = 0; k < Padded(K); k++) _a[(i * RowA) + k] = Next(k);
                for (var j = 0; j < Columns; j++) _c[(i * RowC) + j] = Add ? random.NextSingle() : float.NaN;
            }

            for (var k = 0; k < Padded(K); k++)
                for (var j = 0; j < Columns; j++) _b[(k / 2 * RowB) + (2 * j) + (k % 2)] = Next(k);

            var expected = new double[Rows * Columns];
            for (var i = 0; i < Rows; i++)
                for (var j = 0; j < Columns; j++)
                {
                    var sum = Add ? _c[(i * RowC) + j] : 0.0;
                    for (var k = 0; k < K; k++) sum += (double)Value(_a[(i * RowA) + k]) * Value(_b[(k / 2 * RowB) + (2 * j) + (k % 2)]);
                    expected[(i * Columns) + j] = sum;
                }

            return expected;
        }
    }
}
