using FsCheck;
using FsCheck.Fluent;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>Run at each level and with other numbers of threads: <c>TESSERA_KERNELS</c>, <c>TESSERA_THREADS</c>.</summary>
public class MatrixProductTests
{
    /// <summary>Nothing, one, primes, and the neighbours of tiles (6, 8, 12, 16, 32), of "few rows" and of blocks of k (288, 320, 384).</summary>
    private static readonly int[] s_sizes =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 97, 131];

    private static readonly int[] s_lengths = [.. s_sizes, 289, 319, 320, 321, 383, 384, 385, 769];

    [Fact]
    public void Products_of_any_shape_stride_and_transposition_agree_with_double_precision()
    {
        var cases =
            from m in Gen.Elements(s_sizes)
            from n in Gen.Elements(s_sizes)
            from k in Gen.Elements(s_lengths)
            from flags in Gen.Choose(0, 15)
            from gaps in Gen.Elements(0, 1, 5, 16).Three()
            from kind in Gen.Elements(s_kinds)
            from packed in Gen.Elements(false, true)
            select new Case(m, n, k, (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0, gaps.Item1, gaps.Item2, gaps.Item3)
            {
                Kind = kind, Packed = packed && kind != MatrixProductKind.F32,
            };
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(700), Prop.ForAll(cases.ToArbitrary(), one => one.Verify()));
    }

    /// <summary>The kinds that this level has.</summary>
    private static readonly MatrixProductKind[] s_kinds = MatrixProductKinds.HasBf16
        ? [MatrixProductKind.F32, MatrixProductKind.F16, MatrixProductKind.Bf16]
        : [MatrixProductKind.F32, MatrixProductKind.F16];

    [Theory]
    [InlineData(1030, 70, 400)]
    [InlineData(320, 744, 1000)]
    [InlineData(7, 3000, 130)]
    [InlineData(3000, 3, 130)]
    [InlineData(1, 3000, 1030)]
    [InlineData(130, 2300, 390)]
    [InlineData(16, 2300, 1100)]
    [InlineData(64, 100, 2051)]
    [InlineData(39, 50, 3001)]
    public void Products_cut_into_several_blocks_and_parts_agree_with_double_precision(int m, int n, int k)
    {
        foreach (var kind in s_kinds)
            for (var flags = 0; flags < 4; flags++)
            {
                new Case(m, n, k, (flags & 1) != 0, (flags & 2) != 0, flags == 2, flags != 1, 0, flags, 0)
                {
                    Kind = kind, Packed = kind != MatrixProductKind.F32 && flags is (1 or 2),
                }.Verify();
            }
    }

    [Fact]
    public void The_same_product_has_the_same_bits_every_time()
    {
        var (a, b) = (Elements(257 * 401, 1), Elements(401 * 333, 2));
        foreach (var kind in s_kinds)
        {
            var first = new float[257 * 333];
            MatrixProduct.Multiply(new Matrix(a, 257, 401), new Matrix(b, 333, 401).T, first, accumulate: false, kind: kind);
            for (var run = 0; run < 20; run++)
            {
                var again = new float[257 * 333];
                MatrixProduct.Multiply(new Matrix(a, 257, 401), new Matrix(b, 333, 401).T, again, accumulate: false, kind: kind);
                Assert.Equal(first, again);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(40)]
    public void What_is_not_a_number_spreads_to_its_row_and_column_and_no_further(int rows)
    {
        var (a, b) = (Elements(rows * 37, 1), Elements(37 * 35, 2));
        a[36] = float.NaN;
        b[(34 * 37) + 5] = float.PositiveInfinity;
        foreach (var kind in s_kinds)
        {
            var c = new float[rows * 35];
            MatrixProduct.Multiply(new Matrix(a, rows, 37), new Matrix(b, 35, 37).T, c, accumulate: false, kind: kind);
            for (var i = 0; i < rows; i++)
                for (var j = 0; j < 35; j++)
                    Assert.True(i == 0 ? float.IsNaN(c[j]) : float.IsInfinity(c[(i * 35) + j]) == (j == 34) && !float.IsNaN(c[(i * 35) + j]));
        }
    }

    [Fact]
    public void A_factor_too_large_for_F16_is_infinite()
    {
        var c = new float[2];
        MatrixProduct.Multiply(new Matrix([65519f, -65520f], 2, 1), new Matrix([0.5f], 1, 1), c, accumulate: false, kind: MatrixProductKind.F16);
        Assert.Equal([65504f / 2, float.NegativeInfinity], c);
    }

    [LevelFact(KernelLevel.Avx512Bf16)]
    public void Rounding_to_BF16_is_to_nearest_even_at_any_width()
    {
        var values = Enumerable.Range(0, 4000).Select(i => BitConverter.Int32BitsToSingle((0x3F80 << 16) + (i * 0x3777)))
            .Concat([0, -0f, float.MaxValue, float.NegativeInfinity, float.NaN, -1.00390625f, 1.01171875f, 1.0039062f, 1.0039064f]).ToArray();
        for (var count = 1; count <= 70; count++)
        {
            var from = values[^count..];
            var to = new ushort[96];
            Round(from, to);
            Assert.Equal(from.Select(value => Rounding.To(MatrixProductKind.Bf16, value)), to[..count].Select(bits => (double)BitConverter.Int32BitsToSingle(bits << 16)));
            Assert.All(to[count..((count + 31) / 32 * 32)], bits => Assert.Equal(0, bits));
        }
    }

    [LevelFact(KernelLevel.Avx512Bf16)]
    public void Weights_stored_in_BF16_give_what_the_same_in_F32_give()
    {
        foreach (var (m, n, k) in new[] { (1, 1, 1), (33, 100, 67), (40, 70, 800), (64, 33, 1) })
        {
            var (a, bias) = (Elements(m * k, 1), Elements(n, 3));
            var stored = Elements(n * k, 2).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)).ToArray();
            var weight = stored.Select(bits => BitConverter.UInt32BitsToSingle((uint)bits << 16)).ToArray();
            var (expected, found) = (new float[m * n], new float[m * n]);
            MatrixProduct.Multiply(new Matrix(a, m, k), new Matrix(weight, n, k).T, expected, false, bias: bias, kind: MatrixProductKind.Bf16);
            MatrixProduct.MultiplyBf16(new Matrix(a, m, k), stored, n, found, bias);
            Assert.Equal(expected, found);
        }
    }

    [Fact]
    public void Weights_stored_in_BF16_are_multiplied_in_F32_as_double_precision_does()
    {
        (int, int, int)[] shapes =
            [(1, 1, 1), (2, 5, 15), (3, 33, 16), (7, 70, 1049), (13, 67, 333), (30, 3, 2070), (41, 50, 400), (200, 70, 390)];
        foreach (var (m, n, k) in shapes)
        {
            var (a, bias) = (Elements(m * k, 1), Elements(n, 3));
            var stored = Elements(n * k, 2).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)).ToArray();
            var found = new float[m * n];
            MatrixProduct.MultiplyBf16(new Matrix(a, m, k), stored, n, found, bias, MatrixProductKind.F32);
            for (var i = 0; i < m; i++)
                for (var j = 0; j < n; j++)
                {
                    var sum = (double)bias[j];
                    for (var step = 0; step < k; step++)
                        sum += (double)a[(i * k) + step] * BitConverter.UInt32BitsToSingle((uint)stored[(j * k) + step] << 16);
                    Assert.Equal(sum, found[(i * n) + j], Math.ScaleB(1, -22) * (k + 4));
                }
        }
    }

    [Fact]
    public void A_row_of_infinities_is_exact_at_any_length()
    {
        // The last vector of a row overlaps the one before: what is left out of it must not become a NaN.
        for (var k = 16; k <= 33; k++)
        {
            foreach (var rows in (ReadOnlySpan<int>)[1, 3, 7])
            {
                var (a, b, c) = (new float[rows * k], new float[5 * k], new float[rows * 5]);
                a.AsSpan().Fill(float.PositiveInfinity);
                b.AsSpan().Fill(2);
                MatrixProduct.Multiply(new Matrix(a, rows, k), new Matrix(b, 5, k).T, c, accumulate: false);
                Assert.All(c, value => Assert.Equal(float.PositiveInfinity, value));
            }
        }
    }

    [Fact]
    public void After_the_first_time_a_product_allocates_nothing()
    {
        var (a, b, c) = (Elements(300 * 200, 1), Elements(200 * 300, 2), new float[300 * 300]);
        void Multiply() => MatrixProduct.Multiply(new Matrix(a, 300, 200), new Matrix(b, 200, 300), c, accumulate: true);
        for (var i = 0; i < 50; i++) Multiply();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 50; i++) Multiply();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Sizes_that_do_not_fit_are_refused()
    {
        var memory = new float[12];
        Assert.Throws<ArgumentException>(() => MatrixProduct.Multiply(new Matrix(memory, 3, 4), new Matrix(memory, 3, 4), new float[12], false));
        Assert.Throws<ArgumentException>(() => MatrixProduct.Multiply(new Matrix(memory, 3, 4), new Matrix(memory, 4, 3), new float[8], false));
        Assert.Throws<ArgumentException>(() =>
            MatrixProduct.Multiply(new Matrix(memory, 3, 4), new Matrix(memory, 4, 3), new float[9], false, bias: new float[2]));
    }

    private static unsafe void Round(float[] from, ushort[] to)
    {
        fixed (float* pFrom = from)
        fixed (ushort* pTo = to) Bf16Rounding.Rows(pFrom, 0, rows: 1, from.Length, pTo, 0);
    }

    private static float[] Elements(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
    }

    private sealed record Case(
        int M, int N, int K, bool TransposeA, bool TransposeB, bool Accumulate, bool Bias, int GapA, int GapB, int GapC)
    {
        private const float Untouched = 12345;

        public MatrixProductKind Kind { get; init; }

        public bool Packed { get; init; }

        public void Verify()
        {
            var a = new Operand(M, K, TransposeA, GapA, 1, Kind);
            var b = new Operand(K, N, TransposeB, Packed ? 0 : GapB, 2, Kind);
            var bias = Bias ? Elements(N, 3) : [];
            var rowC = N + GapC;
            var before = Elements(M * rowC, 4);
            for (var i = 0; i < before.Length; i++)
                if (i % rowC >= N) before[i] = Untouched;
            var c = before.ToArray();
            Multiply(a, b, c, rowC, bias);

            // A sum of k random products of at most 1 stays within about √k, and k roundings of it add up to √k of them.
            var tolerance = Math.ScaleB(1, -23) * (Math.Sqrt(K) + 2) * Math.Max(4, Math.Sqrt(K));
            var expected = new double[N];
            for (var i = 0; i < M; i++)
            {
                for (var j = 0; j < N; j++) expected[j] = (Accumulate ? before[(i * rowC) + j] : 0.0) + (Bias ? bias[j] : 0.0);
                for (var k = 0; k < K; k++)
                {
                    var factor = a[i, k];
                    var row = b.Row(k);
                    for (var j = 0; j < N; j++) expected[j] += factor * row[j];
                }

                for (var j = 0; j < N; j++)
                {
                    var found = c[(i * rowC) + j];
                    if (!(Math.Abs(expected[j] - found) <= tolerance)) Assert.Fail($"{this}: ({i}, {j}) is {found}, expected {expected[j]}");
                }

                Assert.All(c[((i * rowC) + N)..((i + 1) * rowC)], gap => Assert.Equal(Untouched, gap));
            }
        }

        private unsafe void Multiply(Operand a, Operand b, float[] c, int rowC, float[] bias)
        {
            var bytes = Packed ? PackedMatrix.Bytes(Kind, K, N) : 0;
            using var memory = new NativeBuffer(bytes);
            new Span<byte>((void*)memory.Address, (int)bytes).Fill(0xAB); // what is not written is no number of any use
            var packed = Packed ? new PackedMatrix((byte*)memory.Address) : default;
            if (Packed) PackedMatrix.Pack(b.Matrix.Data, 1, K, N, TransposeB, Kind, packed.Address);
            MatrixProduct.Multiply(a.Matrix, b.Matrix, c, Accumulate, rowC, bias, Kind, packed);
        }
    }

    /// <summary>A matrix in its own memory, as the product sees it and as rows of double precision.</summary>
    private sealed class Operand
    {
        private readonly float[] _elements;
        private readonly int _rows, _columns, _stride;
        private readonly bool _transposed;
        private readonly double[][] _exact;

        public Operand(int rows, int columns, bool transposed, int gap, int seed, MatrixProductKind kind)
        {
            (_rows, _columns, _transposed) = (rows, columns, transposed);
            var (lines, length) = transposed ? (columns, rows) : (rows, columns);
            _stride = length + gap;
            _elements = Elements(Math.Max(0, (lines * _stride) - gap), seed);
            _exact = [.. Enumerable.Range(0, rows).Select(i => Enumerable.Range(0, columns)
                .Select(j => Rounding.To(kind, _elements[transposed ? (j * _stride) + i : (i * _stride) + j])).ToArray())];
        }

        public Matrix Matrix => _transposed ? new Matrix(_elements, _columns, _rows, _stride).T : new Matrix(_elements, _rows, _columns, _stride);

        public double this[int i, int j] => _exact[i][j];

        public double[] Row(int i) => _exact[i];
    }
}
