using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>Whole products on tiles: the driver, its packing and its threads, with emulated processors or real ones.</summary>
[Collection(AmxCollection.Name)]
public class AmxProductTests
{
    private static readonly (int M, int N, int K)[] s_shapes =
        [(1, 1, 1), (1, 40, 33), (16, 32, 64), (31, 33, 31), (33, 100, 129), (70, 65, 330), (5, 48, 1000)];

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)] // which rounds the factors
    public void Products_agree_with_double_precision()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        Verify(s_shapes);
        Assert.NotEmpty(emulation.Threads);
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
        Assert.All(emulation.Threads, thread => Assert.True(thread.Products > 0));
    }

    [LevelFact(KernelLevel.Amx)]
    public void Products_agree_with_double_precision_on_this_processor() =>
        Verify([.. s_shapes, (257, 333, 401), (512, 1030, 700), (3, 2000, 1030)]);

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void Parts_on_several_threads_have_tiles_of_their_own()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        new Product(200, 200, 64, TransposeA: false, TransposeB: true, Accumulate: false, Bias: true, Packed: false).Verify();
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
    }

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void Groups_of_rows_agree_with_the_tiles_of_vectors()
    {
        const int K = 70, N = 50;
        int[] offsets = [0, 5, 5, 40, 140];
        var (a, b) = (Product.Elements(offsets[^1] * K, 1), Product.Elements((offsets.Length - 1) * K * N, 2));
        var (wide, each) = Groups(a, b, offsets, K, N);
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        var (wideInTiles, eachInTiles) = Groups(a, b, offsets, K, N);
        Assert.True(emulation.Threads.Sum(thread => thread.Products) > 0);
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
        OperationCheck.Compare("rows", [.. wide.Select(value => (double)value)], wideInTiles, 1e-6);
        OperationCheck.Compare("each", [.. each.Select(value => (double)value)], eachInTiles, 1e-6);
    }

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void What_is_not_a_number_spreads_to_its_row_and_column_and_no_further()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        foreach (var rows in (ReadOnlySpan<int>)[1, 5, 40])
        {
            var (a, b) = (Product.Elements(rows * 37, 1), Product.Elements(37 * 35, 2));
            a[36] = float.NaN;
            b[(34 * 37) + 5] = float.PositiveInfinity;
            var c = new float[rows * 35];
            MatrixProduct.Multiply(new Matrix(a, rows, 37), new Matrix(b, 35, 37).T, c, accumulate: false, kind: MatrixProductKind.Bf16);
            for (var i = 0; i < rows; i++)
            for (var j = 0; j < 35; j++)
                Assert.True(i == 0 ? float.IsNaN(c[j]) : float.IsInfinity(c[(i * 35) + j]) == (j == 34) && !float.IsNaN(c[(i * 35) + j]));
        }
    }

    [LevelFact(KernelLevel.Avx512Bf16)]
    public void A_linear_layer_in_BF16_and_its_gradients_agree_with_rounded_factors_in_double_precision()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        VerifyLinear(tokens: 50, inputs: 40, outputs: 72);
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
        Assert.True(emulation.Threads.Sum(thread => thread.Products) > 0);
    }

    [LevelFact(KernelLevel.Amx)]
    public void A_linear_layer_in_BF16_and_its_gradients_agree_with_rounded_factors_on_this_processor() =>
        VerifyLinear(tokens: 500, inputs: 256, outputs: 720);

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void Few_rows_with_a_weight_stored_in_BF16_agree_with_double_precision()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        VerifyThin([(1, 1, 1), (4, 40, 33), (5, 31, 64), (16, 32, 100), (17, 70, 31), (33, 33, 1056), (48, 100, 65), (64, 17, 130)]);
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
        Assert.True(emulation.Threads.Sum(thread => thread.Products) > 0);
    }

    [LevelFact(KernelLevel.Amx)]
    public void Few_rows_with_a_weight_stored_in_BF16_agree_with_double_precision_on_this_processor() =>
        VerifyThin([(1, 300, 700), (16, 1000, 1030), (33, 70, 2049), (64, 257, 129)]);

    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void What_is_not_a_number_in_a_few_rows_or_their_weight_spreads_no_further()
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        const int Rows = 18, Outputs = 35, Columns = 37;
        var (x, weight, y) = (Product.Elements(Rows * Columns, 1), Halves(Outputs * Columns, 2), new float[Rows * Outputs]);
        x[36] = float.NaN;
        weight[(34 * Columns) + 5] = 0x7F80; // infinity
        ThinProductAmx.Multiply(new Matrix(x, Rows, Columns), weight, Outputs, y, default);
        for (var i = 0; i < Rows; i++)
            for (var j = 0; j < Outputs; j++)
                Assert.True(i == 0 ? float.IsNaN(y[j]) : float.IsInfinity(y[(i * Outputs) + j]) == (j == 34));
    }

    private static void VerifyThin(ReadOnlySpan<(int M, int N, int K)> shapes)
    {
        foreach (var (m, n, k) in shapes)
        {
            var (x, weight, bias, y) = (Product.Elements(m * k, 1), Halves(n * k, 2), Product.Elements(n, 3), new float[m * n]);
            foreach (var added in (float[][])[[], bias])
            {
                ThinProductAmx.Multiply(new Matrix(x, m, k), weight, n, y, added);
                Compare(
                    $"{m} x {n} x {k}", y, m, n, k, (i, j, step) => Rounded(x[(i * k) + step]) * Wide(weight[(j * k) + step]),
                    j => added.Length == 0 ? 0 : added[j]);
            }
        }
    }

    private static ushort[] Halves(int count, int seed) =>
        [.. Product.Elements(count, seed).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))];

    private static double Wide(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private static void Verify(ReadOnlySpan<(int M, int N, int K)> shapes)
    {
        foreach (var (m, n, k) in shapes)
            for (var flags = 0; flags < 8; flags++)
                new Product(
                    m, n, k, (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, Bias: flags % 3 == 0, Packed: flags % 2 == 0).Verify();
    }

    private static (float[] Rows, float[] Each) Groups(float[] a, float[] b, int[] offsets, int k, int n)
    {
        var left = new Matrix(a, offsets[^1], k);
        var rows = new float[offsets[^1] * n];
        MatrixProductGroups.MultiplyRows(left, b, transposed: true, offsets, rows, n, accumulate: false, kind: MatrixProductKind.Bf16);
        var each = new float[(offsets.Length - 1) * k * n];
        MatrixProductGroups.MultiplyEach(
            left, new Matrix(b, offsets[^1], n), offsets, each, accumulate: false, kind: MatrixProductKind.Bf16);
        return (rows, each);
    }

    private static void VerifyLinear(int tokens, int inputs, int outputs)
    {
        var x = OperationCheck.Random([tokens, inputs], 1);
        var weight = OperationCheck.Random([outputs, inputs], 2);
        var bias = OperationCheck.Random([outputs], 3);
        var dy = OperationCheck.Random([tokens, outputs], 4).Values;

        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        using var precision = Autocast.Enter(Precision.BF16);
        var tensors = new[] { x, weight, bias }.Select(input => Tensor.From(input.Values, input.Shape).WithGradient()).ToArray();
        var y = Op.Linear(tensors[0], tensors[1], tensors[2]);
        tape.Backward(y, dy);

        double X(int t, int i) => Rounded(x.Values[(t * inputs) + i]);
        double W(int o, int i) => Rounded(weight.Values[(o * inputs) + i]);
        double G(int t, int o) => Rounded(dy[(t * outputs) + o]);
        Compare("y", y.ToArray(), tokens, outputs, inputs, (t, o, i) => X(t, i) * W(o, i), o => bias.Values[o]);
        Compare("dx", tensors[0].Gradient.ToArray(), tokens, inputs, outputs, (t, i, o) => G(t, o) * W(o, i), _ => 0);
        Compare("dW", tensors[1].Gradient.ToArray(), outputs, inputs, tokens, (o, i, t) => G(t, o) * X(t, i), _ => 0);
    }

    private static void Compare(string what, float[] found, int m, int n, int k, Func<int, int, int, double> term, Func<int, double> start)
    {
        var expected = new double[m * n];
        for (var i = 0; i < m; i++)
            for (var j = 0; j < n; j++)
            {
                expected[(i * n) + j] = start(j);
                for (var step = 0; step < k; step++) expected[(i * n) + j] += term(i, j, step);
            }

        OperationCheck.Compare(what, expected, found, 1e-6);
    }

    private static double Rounded(float value) => Rounding.To(MatrixProductKind.Bf16, value);

    private sealed record Product(int M, int N, int K, bool TransposeA, bool TransposeB, bool Accumulate, bool Bias, bool Packed)
    {
        public void Verify()
        {
            var (a, b, bias) = (Elements(M * K, 1), Elements(K * N, 2), Bias ? Elements(N, 3) : []);
            var c = Elements(M * N, 4);
            var expected = c.Select(value => Accumulate ? (double)value : 0).ToArray();
            for (var i = 0; i < M; i++)
                for (var j = 0; j < N; j++)
                {
                    var sum = expected[(i * N) + j] + (Bias ? bias[j] : 0.0);
                    for (var k = 0; k < K; k++)
                        sum += Rounded(a[TransposeA ? (k * M) + i : (i * K) + k]) * Rounded(b[TransposeB ? (j * K) + k : (k * N) + j]);
                    expected[(i * N) + j] = sum;
                }

            Multiply(a, b, bias, c);
            OperationCheck.Compare($"{this}", expected, c, 1e-6);
        }

        private unsafe void Multiply(float[] a, float[] b, float[] bias, float[] c)
        {
            var left = TransposeA ? new Matrix(a, K, M).T : new Matrix(a, M, K);
            var right = TransposeB ? new Matrix(b, N, K).T : new Matrix(b, K, N);
            var packed = new byte[Packed ? PackedMatrix.Bytes(MatrixProductKind.Bf16, K, N) : 0];
            fixed (byte* address = packed)
            {
                if (Packed) PackedMatrix.Pack(b, 1, K, N, TransposeB, MatrixProductKind.Bf16, address);
                MatrixProduct.Multiply(
                    left, right, c, Accumulate, bias: bias, kind: MatrixProductKind.Bf16, packed: new PackedMatrix(address));
            }
        }

        public static float[] Elements(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
        }
    }
}
