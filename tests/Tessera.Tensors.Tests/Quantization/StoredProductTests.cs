using FsCheck.Fluent;
using Tessera.Testing;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Linear maps with stored weights against double-precision products of what weights and rounded rows stand for.</summary>
public class StoredProductTests
{
    /// <summary>F32 rounding of the sums, in parts of the sum of the products' magnitudes.</summary>
    private const double Rounding = 1e-6;

    public static TheoryData<ElementType> Types { get; } = [.. Stored.Types];

    [Theory, MemberData(nameof(Types))]
    public void Linear_agrees_with_its_equation_on_sizes_about_the_tiles(ElementType type)
    {
        var sizes = Gen.Elements(0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 24, 25, 31, 32, 33, 67).Zip(
            Gen.Elements(1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 47, 64, 65, 97, 131), Gen.Elements(1, 2, 3, 5, 8, 9, 13));
        Samples.ForAll(sizes.Zip(Samples.Seed), sample =>
        {
            var ((rows, outputs, blocks), seed) = sample;
            Check(type, rows, Inputs(type, blocks), outputs, seed, bias: seed % 2 == 0);
        }, cases: 40);
    }

    [Theory, MemberData(nameof(Types))]
    public void Linear_agrees_with_its_equation_on_a_layer_of_a_model(ElementType type)
    {
        Check(type, 1, 2048, 1031, seed: 1, bias: true);
        Check(type, 150, 1280, 521, seed: 2, bias: true);
    }

    [Theory, MemberData(nameof(Types))]
    public void Rounding_the_rows_costs_no_more_than_half_a_step_an_element(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        const int Rows = 20, Inputs = 512, Outputs = 70;
        var weight = Stored.Weight(type, [Outputs, Inputs], 3);
        var values = Stored.Values(weight);
        var (_, x) = OperationCheck.Random([Rows, Inputs], 4);
        var y = Op.Linear(Tensor.From(x, [Rows, Inputs]), weight).ToArray();
        var (exact, magnitudes) = Stored.Product([.. x.Select(element => (double)element)], values, Inputs, Outputs);
        for (var i = 0; i < y.Length; i++)
        {
            var bound = magnitudes[i] * Rounding;
            for (var k = 0; k < Inputs && Stored.RoundsActivations(type); k++)
            {
                var greatest = x.AsSpan((i / Outputs * Inputs) + (k / 32 * 32), 32).ToArray().Max(MathF.Abs);
                bound += greatest / 254 * 1.0001 * Math.Abs(values[(i % Outputs * Inputs) + k]);
            }

            Assert.True(Math.Abs(exact[i] - y[i]) <= bound, $"element {i}: {y[i]}, expected {exact[i]} within {bound}");
        }
    }

    [Theory]
    [InlineData(ElementType.Q8_0)]
    [InlineData(ElementType.Q4_0)]
    public void Dot_products_are_those_of_llama_cpp_where_it_rounds_alike(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var fixture = BlockFixtureTests.Case(type);
        var weight = Tensor.Temporary(new Shape(fixture.Shape("input")), type);
        fixture.Bytes("bytes").CopyTo(weight.Bytes);
        var x = fixture.Floats("activation_values"); // already multiples of a scale, which rounding again finds

        var y = Op.Linear(Tensor.From(x, new Shape(fixture.Shape("activations"))), weight).ToArray();

        var exact = fixture.Floats("dots_exact");
        var (_, magnitudes) = Stored.Product([.. x.Select(element => (double)element)], fixture.Floats("values"), 512, 8);
        for (var i = 0; i < y.Length; i++)
            Assert.InRange(Math.Abs(y[i] - exact[(i % 8 * 4) + (i / 8)]), 0, (Rounding * magnitudes[i]) + 1e-30);
    }

    [Theory, MemberData(nameof(Types))]
    public void A_row_gives_the_same_whatever_the_number_of_rows(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var weight = Stored.Weight(type, [70, 512], 3);
        var x = Tensor.From(OperationCheck.Random([40, 512], 4).Values, [40, 512]);
        var all = Op.Linear(x, weight).ToArray();
        for (var rows = 1; rows < 40; rows += 3)
            OperationCheck.Compare(
                $"{rows} rows", [.. all.Take(rows * 70).Select(y => (double)y)], Op.Linear(x.First(rows), weight).ToArray(), 2e-6);
    }

    [Theory, MemberData(nameof(Types))]
    public void The_gradient_of_x_is_that_of_what_the_weight_stands_for(ElementType type)
    {
        foreach (var (rows, outputs, inputs) in new[] { (1, 3, 256), (5, 131, 512), (33, 70, 768) })
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var weight = Stored.Weight(type, [outputs, inputs], 3);
            var x = Tensor.From(OperationCheck.Random([rows, inputs], 4).Values, [rows, inputs]).WithGradient();
            var (_, dy) = OperationCheck.Random([rows, outputs], 5);
            var y = Op.Add(Op.Linear(x, weight), Op.Linear(x, weight)); // the second adds to what the first has left

            tape.Backward(y, dy);

            var transposed = new float[inputs * outputs];
            var values = Stored.Values(weight);
            for (var i = 0; i < transposed.Length; i++) transposed[i] = 2 * values[(i % outputs * inputs) + (i / outputs)];
            var (expected, magnitudes) = Stored.Product([.. dy.Select(element => (double)element)], transposed, outputs, inputs);
            Stored.Compare($"{type} [{outputs}, {inputs}]", expected, magnitudes, x.Gradient, Rounding);
        }
    }

    [Theory, MemberData(nameof(Types))]
    public void A_row_that_is_not_finite_gives_no_number_and_spoils_no_other(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var weight = Stored.Weight(type, [37, 256], 3);
        foreach (var rows in new[] { 1, 3, 7, 40 })
            foreach (var bad in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
            {
                var x = OperationCheck.Random([rows, 256], 4).Values;
                var clean = Op.Linear(Tensor.From(x, [rows, 256]), weight).ToArray();
                x[^100] = bad;
                var y = Op.Linear(Tensor.From(x, [rows, 256]), weight).ToArray();
                Assert.Equal(clean.AsSpan(0, (rows - 1) * 37), y.AsSpan(0, (rows - 1) * 37));
                Assert.DoesNotContain(y.Skip((rows - 1) * 37), float.IsFinite);
            }
    }

    [Fact]
    public void Rows_of_tiny_and_of_huge_elements_are_rounded_with_their_own_scale()
    {
        foreach (var scale in new[] { 0, 1e-40, 1e-34, 1e-20, 1e20, 1e37 })
        {
            using var scope = Arena.Current.Scope();
            var weight = Stored.Weight(ElementType.Q8_0, [5, 64], 3, scale: 1e-2);
            var (shape, x) = OperationCheck.Random([1, 64], 4, scale);
            var (expected, magnitudes) = Stored.Product(Stored.Rounded(x), Stored.Values(weight), 64, 5);
            Stored.Compare($"scale {scale}", expected, magnitudes, Op.Linear(Tensor.From(x, shape), weight).Floats, Rounding);
        }
    }

    [Theory, MemberData(nameof(Types))]
    public void Products_with_stored_weights_allocate_nothing(ElementType type) => Samples.OnNewThread(() =>
    {
        var weight = Stored.Weight(type, [200, 512], 3);
        var x = Tensor.Allocate([33, 512]);
        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            using var scope = Arena.Current.Scope();
            foreach (var rows in stackalloc int[] { 1, 4, 33 }) _ = Op.Linear(x.First(rows), weight);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        // The runtime allocates too, now and then, while it compiles again what is used often: what the products take they take each time.
        for (var i = 0; i < 40; i++) Allocated();
        var capacity = Arena.Current.Capacity;
        Assert.Equal(0, Enumerable.Range(0, 3).Min(_ => Allocated()));
        Assert.Equal(capacity, Arena.Current.Capacity);
    });

    [Theory]
    [InlineData(ElementType.BF16, Precision.BF16)]
    [InlineData(ElementType.F16, Precision.BF16)]
    [InlineData(ElementType.F16, Precision.F16)]
    [InlineData(ElementType.Q8_0, Precision.BF16)]
    public void In_a_scope_of_lower_precision_products_and_gradients_are_as_exact_as_it_is(ElementType type, Precision precision)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        const int Rows = 40, Inputs = 256, Outputs = 90;
        var weight = Stored.Weight(type, [Outputs, Inputs], 3);
        var (shape, x) = OperationCheck.Random([Rows, Inputs], 4);
        var (_, dy) = OperationCheck.Random([Rows, Outputs], 5);
        var input = Tensor.From(x, shape).WithGradient();
        Tensor y;
        using (Autocast.Enter(precision))
        {
            y = Op.Linear(input, weight);
            tape.Backward(y, dy);
        }

        var values = Stored.Values(weight);
        var (expected, magnitudes) = Stored.Product([.. x.Select(element => (double)element)], values, Inputs, Outputs);
        Stored.Compare("y", expected, magnitudes, y.Floats, 1.0 / 128);
        var transposed = new float[values.Length];
        for (var i = 0; i < values.Length; i++) transposed[i] = values[(i % Outputs * Inputs) + (i / Outputs)];
        (expected, magnitudes) = Stored.Product([.. dy.Select(element => (double)element)], transposed, Outputs, Inputs);
        Stored.Compare("dx", expected, magnitudes, input.Gradient, 1.0 / 128);
    }

    [Fact]
    public void A_stored_weight_has_no_gradient()
    {
        var weight = Tensor.Allocate([2, 32], ElementType.Q8_0);
        Assert.Contains(
            "with gradient: tensor is Q8_0 [2, 32], expected F32", Assert.Throws<ShapeException>(weight.WithGradient).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_of_indices_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var weight = Tensor.Temporary([4, 3], ElementType.I32);
        var error = Assert.Throws<ShapeException>(() => Op.Linear(Tensor.Temporary([2, 3]), weight));
        Assert.Contains("linear: weight is I32 [4, 3], expected a type of real numbers", error.Message, StringComparison.Ordinal);
    }

    private static int Inputs(ElementType type, int blocks) => type.BlockElements() switch
    {
        256 => 256 * Math.Min(blocks, 3),
        32 => 32 * blocks,
        _ => blocks * 7,
    };

    private static void Check(ElementType type, int rows, int inputs, int outputs, int seed, bool bias)
    {
        using var scope = Arena.Current.Scope();
        var weight = Stored.Weight(type, [outputs, inputs], seed);
        var (shape, x) = OperationCheck.Random([rows, inputs], seed + 1);
        var added = OperationCheck.Random([outputs], seed + 2).Values;
        var y = Op.Linear(Tensor.From(x, shape), weight, bias ? Tensor.From(added, [outputs]) : null);
        Assert.Equal([rows, outputs], y.Shape);

        var seen = Stored.RoundsActivations(type) ? Stored.Rounded(x) : [.. x.Select(element => (double)element)];
        var (expected, magnitudes) = Stored.Product(seen, Stored.Values(weight), inputs, outputs);
        for (var i = 0; i < expected.Length && bias; i++)
        {
            expected[i] += added[i % outputs];
            magnitudes[i] += Math.Abs(added[i % outputs]);
        }

        Stored.Compare($"{type} [{rows}, {inputs}] x [{outputs}, {inputs}]", expected, magnitudes, y.Floats, Rounding);
    }
}
