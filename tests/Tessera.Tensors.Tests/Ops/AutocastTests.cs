using Tessera.Tensors.Kernels;
using Tessera.Tensors.Tests.Kernels;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Products within a scope of fewer bits, against double precision with the factors rounded beforehand.</summary>
public class AutocastTests
{
    [Theory]
    [InlineData(Precision.BF16, 40, 33, 70)]
    [InlineData(Precision.BF16, 130, 64, 400)]
    [InlineData(Precision.BF16, 3, 20, 17)]
    [InlineData(Precision.F16, 40, 33, 70)]
    [InlineData(Precision.F16, 3, 4, 5)]
    public void Linear_and_its_gradients_are_those_of_rounded_factors(Precision precision, int rows, int outputs, int inputs)
    {
        using var scope = Arena.Current.Scope();
        var (x, weight, upstream) = (Values(rows * inputs, 1), Values(outputs * inputs, 2), Values(rows * outputs, 3));
        var parameter = Parameter(weight, [outputs, inputs]);
        for (var pass = 0; pass < 3; pass++)
        {
            using var cast = Autocast.Enter(precision);
            using var tape = Tape.Record();
            var kind = MatrixProductKinds.Choose(rows, outputs, inputs, packed: true);
            Assert.Equal(
                precision == Precision.F16 ? MatrixProductKind.F16
                    : MatrixProductKinds.HasBf16 ? MatrixProductKind.Bf16
                    : MatrixProductKind.F32,
                kind);
            parameter.ClearGradient();
            var input = Tensor.From(x, [rows, inputs]).WithGradient();
            var y = Op.Linear(input, parameter);
            Compare(x, (rows, inputs, false), weight, (inputs, outputs, true), kind, y.Floats);
            tape.Backward(y, upstream);
            Compare(upstream, (rows, outputs, false), weight, (outputs, inputs, false), kind, input.Gradient);
            Compare(upstream, (outputs, rows, true), x, (rows, inputs, false), kind, parameter.Gradient);

            // The next step has other weights: what was packed of the old ones must not be used.
            for (var i = 0; i < weight.Length; i++) parameter.Floats[i] = weight[i] = -weight[i] * 1.25f;
        }
    }

    [Fact]
    public void A_scope_that_ends_twice_or_before_one_within_it_is_refused()
    {
        var outer = Autocast.Enter(Precision.BF16);
        var inner = Autocast.Enter(Precision.F16);
        Assert.Equal("outer", Ends(outer) ? "" : "outer");
        Assert.Equal(Precision.F16, Autocast.Current);
        Assert.True(Ends(inner));
        Assert.False(Ends(inner));
        Assert.Equal(Precision.BF16, Autocast.Current);
        using (Autocast.Enter(Precision.F32)) Assert.False(Ends(inner)); // also where another has taken its place
        Assert.True(Ends(outer));
        Assert.False(Ends(outer));
        Assert.Equal(Precision.F32, Autocast.Current);

        static bool Ends(Autocast.Scope scope)
        {
            try
            {
                scope.Dispose();
                return true;
            }
            catch (InvalidOperationException error)
            {
                Assert.Contains("innermost first", error.Message, StringComparison.Ordinal);
                return false;
            }
        }
    }

    [Fact]
    public void A_precision_that_is_none_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Autocast.Enter((Precision)99).Dispose());
        Assert.Throws<ArgumentOutOfRangeException>(() => Autocast.Enter((Precision)(-1)).Dispose());
        Assert.Equal(Precision.F32, Autocast.Current);
    }

    [Fact]
    public void Gradients_outside_the_scope_have_the_precision_of_their_operation()
    {
        float[] Gradients(bool inside)
        {
            using var scope = Arena.Current.Scope();
            var parameter = Parameter(Values(50 * 60, 2), [50, 60]);
            using var tape = Tape.Record();
            var cast = Autocast.Enter(Precision.F16);
            var x = Tensor.From(Values(40 * 60, 1), [40, 60]).WithGradient();
            var y = Op.Linear(x, parameter);
            if (!inside) cast.Dispose();
            tape.Backward(y, Values(40 * 50, 3));
            if (inside) cast.Dispose();
            return [.. x.Gradient, .. parameter.Gradient];
        }

        Assert.Equal(Gradients(inside: true), Gradients(inside: false));
        Assert.Equal(Precision.F32, Autocast.Current);
    }

    [Theory]
    [InlineData(Precision.BF16)]
    [InlineData(Precision.F16)]
    public void Grouped_linear_gives_what_a_linear_map_of_each_group_gives(Precision precision)
    {
        const int Inputs = 72, Outputs = 50;
        int[] offsets = [0, 40, 40, 140, 180];
        using var scope = Arena.Current.Scope();
        using var cast = Autocast.Enter(precision);
        var (values, weights, upstream) = (Values(180 * Inputs, 1), Values(4 * Outputs * Inputs, 2), Values(180 * Outputs, 3));
        using var tape = Tape.Record();
        var (x, weight) = (Tensor.From(values, [180, Inputs]).WithGradient(), Parameter(weights, [4, Outputs, Inputs]));
        var y = Op.GroupedLinear(x, weight, Tensor.From(offsets, [5]));
        tape.Backward(y, upstream);
        for (var group = 0; group < 4; group++)
        {
            var (start, rows) = (offsets[group], offsets[group + 1] - offsets[group]);
            using var inner = Tape.Record();
            var part = Tensor.From(values.AsSpan(start * Inputs, rows * Inputs), [rows, Inputs]).WithGradient();
            var matrix = Parameter(weights[(group * Outputs * Inputs)..((group + 1) * Outputs * Inputs)], [Outputs, Inputs]);
            var linear = Op.Linear(part, matrix);
            Assert.Equal(linear.ToArray(), y.Floats.Slice(start * Outputs, rows * Outputs).ToArray());
            inner.Backward(linear, upstream.AsSpan(start * Outputs, rows * Outputs));
            Assert.Equal(part.Gradient.ToArray(), x.Gradient.Slice(start * Inputs, rows * Inputs).ToArray());
            Assert.Equal(matrix.Gradient.ToArray(), weight.Gradient.Slice(group * Outputs * Inputs, Outputs * Inputs).ToArray());
        }
    }

    [Theory]
    [InlineData(Precision.BF16)]
    [InlineData(Precision.F16)]
    public void Linear_cross_entropy_agrees_with_cross_entropy_of_linear(Precision precision)
    {
        const int Rows = 300, Width = 40, Classes = 70;
        (float Loss, float[] X, float[] Weight) Run(Func<Tensor, Tensor, Tensor, Tensor> loss)
        {
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            using var tape = Tape.Record();
            var (x, weight) = (
                Tensor.From(Values(Rows * Width, 1), [Rows, Width]).WithGradient(),
                Parameter(Values(Classes * Width, 2), [Classes, Width]));
            var targets = Tensor.From([.. Enumerable.Range(0, Rows).Select(i => i * 7 % Classes)], [Rows]);
            var value = loss(x, weight, targets);
            tape.Backward(value);
            return (value.Item(), x.Gradient.ToArray(), weight.Gradient.ToArray());
        }

        var fused = Run((x, weight, targets) => Op.LinearCrossEntropy(x, weight, targets));
        var apart = Run((x, weight, targets) => Op.CrossEntropy(Op.Linear(x, weight), targets));
        Assert.Equal(apart.Loss, fused.Loss);
        // Gradients of logits are scaled before they are rounded in one case and after it in the other.
        CompareToLargest("gradient of x", apart.X, fused.X);
        CompareToLargest("gradient of the weight", apart.Weight, fused.Weight);

        static void CompareToLargest(string what, float[] expected, float[] found)
        {
            var largest = expected.Max(Math.Abs);
            OperationCheck.Compare(
                what, [.. expected.Select(value => (double)value / largest)], [.. found.Select(value => value / largest)], 6e-3);
        }
    }

    [Fact]
    public void Threads_with_a_scope_each_share_a_parameter_and_none_sees_anothers_copy()
    {
        const int Rows = 40, Size = 96;
        var parameter = Parameter(Values(Size * Size, 2), [Size, Size]);
        var x = Values(Rows * Size, 1);
        float[] Once(Precision precision)
        {
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            using var tape = Tape.Record();
            var input = Tensor.From(x, [Rows, Size]).WithGradient();
            return [.. Op.Linear(input, parameter).ToArray(), .. Op.Linear(input, parameter).ToArray()];
        }

        // Copies of two precisions differ in layout and in numbers.
        Precision[] precisions = [Precision.F16, Precision.BF16];
        var expected = precisions.Select(Once).ToArray();
        var wrong = 0;
        var threads = Enumerable.Range(0, 4).Select(which => new Thread(() =>
        {
            for (var i = 0; i < 25; i++)
                if (!Once(precisions[which % 2]).AsSpan().SequenceEqual(expected[which % 2])) Interlocked.Increment(ref wrong);
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void Another_threads_open_scope_keeps_its_copy()
    {
        var parameter = Parameter(Values(64 * 64, 2), [64, 64]);
        var cast = Autocast.Enter(Precision.F16);
        Assert.True(Packed());
        Samples.OnNewThread(() =>
        {
            Assert.False(Packed()); // outside any scope
            using (Autocast.Enter(Precision.F16)) Assert.False(Packed()); // while the other thread's is open
        });
        Assert.True(Packed());
        cast.Dispose();
        Samples.OnNewThread(() =>
        {
            using var other = Autocast.Enter(Precision.F16);
            Assert.True(Packed());
        });

        unsafe bool Packed() => PackedParameter.Of(parameter, transposed: true, MatrixProductKind.F16).Address != null;
    }

    [Fact]
    public void A_weight_stored_in_BF16_is_a_factor_as_it_is()
    {
        using var scope = Arena.Current.Scope();
        var (x, values) = (Values(40 * 64, 1), Values(50 * 64, 2));
        for (var i = 0; i < values.Length; i++)
            values[i] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(values[i]) & 0xFFFF0000);
        var weight = Tensor.Temporary([50, 64], ElementType.BF16);
        for (var i = 0; i < values.Length; i++)
            BitConverter.TryWriteBytes(weight.Bytes[(2 * i)..], (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16));
        using var cast = Autocast.Enter(Precision.BF16);
        var y = Op.Linear(Tensor.From(x, [40, 64]), weight);
        Compare(
            x, (40, 64, false), values, (64, 50, true), MatrixProductKinds.HasBf16 ? MatrixProductKind.Bf16 : MatrixProductKind.F32,
            y.Floats);
    }

    [Fact]
    public void Products_too_small_to_gain_stay_in_F32()
    {
        using var cast = Autocast.Enter(Precision.BF16);
        Assert.Equal(MatrixProductKind.F32, MatrixProductKinds.Choose(4096, 4, 320, packed: true));
        Assert.Equal(MatrixProductKind.F32, MatrixProductKinds.Choose(1, 4096, 4096, packed: false));
    }

    [Theory]
    [InlineData(Precision.BF16)]
    [InlineData(Precision.F16)]
    public void A_step_seen_before_allocates_nothing(Precision precision) => Samples.OnNewThread(() =>
    {
        var (weight, x, upstream) = (Parameter(Values(48 * 64, 2), [48, 64]), Values(40 * 64, 1), Values(40 * 48, 3));
        void Step()
        {
            weight.ClearGradient();
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            using var tape = Tape.Record();
            tape.Backward(Op.Linear(Tensor.From(x, [40, 64]).WithGradient(), weight), upstream);
        }

        for (var i = 0; i < 50; i++) Step();
        // Scopes of tests on other threads make the list of open ones grow now and then; some twenty steps see none of it.
        var fewest = long.MaxValue;
        for (var turn = 0; turn < 10 && fewest > 0; turn++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 20; i++) Step();
            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, fewest);
    });

    private static Tensor Parameter(float[] values, Shape shape)
    {
        var parameter = Tensor.AllocateParameter(shape);
        values.CopyTo(parameter.Floats);
        return parameter;
    }

    private static float[] Values(int count, int seed) => OperationCheck.Random([count], seed).Values;

    /// <summary>Compares c with the product of rounded factors: within 1e-6 of the sum of the products' magnitudes.</summary>
    private static void Compare(
        float[] a, (int Rows, int Columns, bool Transposed) shapeA, float[] b, (int Rows, int Columns, bool Transposed) shapeB,
        MatrixProductKind kind, ReadOnlySpan<float> c)
    {
        double A(int i, int k) => Rounding.To(kind, a[shapeA.Transposed ? (k * shapeA.Rows) + i : (i * shapeA.Columns) + k]);
        double B(int k, int j) => Rounding.To(kind, b[shapeB.Transposed ? (j * shapeB.Rows) + k : (k * shapeB.Columns) + j]);
        Assert.Equal(shapeA.Rows * shapeB.Columns, c.Length);
        for (var i = 0; i < shapeA.Rows; i++)
            for (var j = 0; j < shapeB.Columns; j++)
            {
                var (sum, size) = (0.0, 0.0);
                for (var k = 0; k < shapeA.Columns; k++)
                {
                    sum += A(i, k) * B(k, j);
                    size += Math.Abs(A(i, k) * B(k, j));
                }

                var found = c[(i * shapeB.Columns) + j];
                Assert.True(Math.Abs(sum - found) <= 1e-6 * size, $"{kind}: ({i}, {j}) is {found}, expected {sum}");
            }
    }
}
