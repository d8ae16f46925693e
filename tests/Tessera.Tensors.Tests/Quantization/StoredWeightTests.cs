using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Experts and tables with stored weights, conversions, and the facts about types.</summary>
public class StoredWeightTests
{
    public static TheoryData<ElementType> Types { get; } = [.. Stored.Types];

    [Theory, MemberData(nameof(Types))]
    public void Experts_give_what_a_linear_map_with_each_gives(ElementType type) => Samples.ForAll(Samples.Seed, seed =>
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        const int Groups = 5, Inputs = 256, Outputs = 43;
        var counts = Samples.Below(20, Groups, seed);
        counts[seed % Groups] = 0;
        var slots = counts.Sum() + 2;
        var weight = Stored.Weight(type, [Groups, Outputs, Inputs], seed);
        var values = Stored.Values(weight);
        var x = Tensor.From(OperationCheck.Random([slots, Inputs], seed).Values, [slots, Inputs]).WithGradient();
        var (_, dy) = OperationCheck.Random([slots, Outputs], seed + 1);
        var offsets = Tensor.From([0, .. counts.Select((_, i) => counts.Take(i + 1).Sum())], [Groups + 1]);

        var y = Op.GroupedLinear(x, weight, offsets);
        tape.Backward(y, dy);

        var (row, found) = (0, y.ToArray());
        for (var group = 0; group < Groups; group++)
            for (var end = row + counts[group]; row < end; row++)
            {
                var part = x.Floats.Slice(row * Inputs, Inputs).ToArray();
                var own = values.AsSpan(group * Outputs * Inputs, Outputs * Inputs).ToArray();
                var seen = Stored.RoundsActivations(type) ? Stored.Rounded(part) : [.. part.Select(element => (double)element)];
                var (expected, magnitudes) = Stored.Product(seen, own, Inputs, Outputs);
                Stored.Compare("y", expected, magnitudes, found.AsSpan(row * Outputs, Outputs), 1e-6);
                for (var i = 0; i < Inputs; i++)
                {
                    var gradient = Enumerable.Range(0, Outputs).Sum(o => (double)dy[(row * Outputs) + o] * own[(o * Inputs) + i]);
                    Assert.Equal(gradient, x.Gradient[(row * Inputs) + i], 1e-4);
                }
            }

        Assert.All(found.Skip(row * Outputs), value => Assert.Equal(0, value));
        Assert.All(x.Gradient[(row * Inputs)..].ToArray(), value => Assert.Equal(0, value));
    }, cases: 6);

    [Fact]
    public void Offsets_beyond_the_rows_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var weight = Tensor.Allocate([2, 3, 32], ElementType.Q8_0);
        var error = Assert.Throws<ShapeException>(() => Op.GroupedLinear(Tensor.Temporary([4, 32]), weight, Tensor.From([0, 2, 5], [3])));
        Assert.Contains("offset 2 is 5, expected 2 to 4", error.Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Types))]
    public void A_stored_table_gives_the_rows_it_stands_for(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var table = Stored.Weight(type, [11, 256], 3);
        var values = Stored.Values(table);
        var ids = Samples.Below(11, 6, 4);
        var y = Op.Embedding(Tensor.From(ids, [2, 3]), table, scale: 2);
        Assert.Equal([2, 3, 256], y.Shape);
        Assert.Equal(ids.SelectMany(id => values.Skip(id * 256).Take(256).Select(value => 2 * value)), y.ToArray());
        Assert.Throws<ShapeException>(() => Op.Embedding(Tensor.From([11], [1]), table));
    }

    [Theory, MemberData(nameof(Types))]
    public void Converting_what_is_stored_once_more_to_its_type_or_through_another_is_what_it_says(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var stored = Stored.Weight(type, [3, 2304], 3);
        var exact = Op.Convert(stored, ElementType.F32);
        foreach (var other in Stored.Types.Where(each => each.CanBeWritten()))
            Assert.Equal(Op.Convert(exact, other).Bytes, Op.Convert(stored, other).Bytes);
        Assert.Equal(exact.Bytes, Op.Convert(exact, ElementType.F32).Bytes);
    }

    [Theory]
    [InlineData(ElementType.F32, 1, 4)]
    [InlineData(ElementType.I32, 1, 4)]
    [InlineData(ElementType.F16, 1, 2)]
    [InlineData(ElementType.BF16, 1, 2)]
    [InlineData(ElementType.Q8_0, 32, 34)]
    [InlineData(ElementType.Q4_0, 32, 18)]
    [InlineData(ElementType.Q4_K, 256, 144)]
    [InlineData(ElementType.Q6_K, 256, 210)]
    [InlineData(ElementType.MXFP4, 32, 17)]
    [InlineData(ElementType.Q4_1, 32, 20)]
    [InlineData(ElementType.Q5_0, 32, 22)]
    [InlineData(ElementType.Q5_1, 32, 24)]
    [InlineData(ElementType.Q5_K, 256, 176)]
    [InlineData(ElementType.Q2_K, 256, 84)]
    [InlineData(ElementType.Q3_K, 256, 110)]
    [InlineData(ElementType.IQ4_NL, 32, 18)]
    [InlineData(ElementType.IQ4_XS, 256, 136)]
    public void Blocks_are_those_of_GGUF(ElementType type, int elements, int bytes)
    {
        Assert.Equal((elements, bytes), (type.BlockElements(), type.BlockBytes()));
        Assert.Equal(3L * bytes, type.Bytes(3L * elements));
        if (elements > 1) Assert.Throws<ArgumentException>(() => type.Bytes(elements + 1));
    }

    [Fact]
    public void A_stored_tensor_has_rows_of_whole_blocks_whatever_is_done_with_it()
    {
        using var scope = Arena.Current.Scope();
        var weight = Stored.Weight(ElementType.Q8_0, [4, 64], 3);
        Assert.Equal(4 * 2 * 34, weight.Bytes.Length);
        Assert.Equal(weight.Bytes, weight.Keep().Bytes);
        Assert.Equal(weight.Bytes[..136], weight.First(2).Bytes);
        Assert.Equal(weight.Bytes, weight.Reshape([2, 2, 2, 32]).Bytes);
        Assert.Equal(0, Tensor.Allocate([0, 64], ElementType.Q8_0).Bytes.Length);
        foreach (var attempt in new Action[]
                 {
                     () => Tensor.Allocate([4, 40], ElementType.Q8_0), () => Tensor.Temporary([], ElementType.Q4_K),
                     () => weight.Reshape([16, 16]), () => Op.Convert(Tensor.Temporary([1, 128]), ElementType.Q6_K),
                     () => Tensor.Allocate([64], ElementType.Q8_0).First(33),
                 })
            Assert.Contains("expected a multiple of", Assert.Throws<ShapeException>(attempt).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_that_a_type_cannot_hold_are_named()
    {
        using var scope = Arena.Current.Scope();
        foreach (var type in Stored.Types.Where(each => each.CanBeWritten()))
            foreach (var bad in new[] { float.NaN, float.PositiveInfinity, 3e38f })
            {
                var x = Tensor.From(new float[1536], [2, 768]);
                x.Floats[768 + 500] = bad;
                if (type == ElementType.BF16 || type == ElementType.F16)
                {
                    var kept = Op.Convert(Op.Convert(x, type), ElementType.F32).Floats[768 + 500];
                    Assert.Equal(type == ElementType.F16 && bad == 3e38f ? float.PositiveInfinity : bad, kept, float.IsFinite(bad) ? 1e36f : 0);
                    continue;
                }

                if (type == ElementType.MXFP4 && float.IsFinite(bad)) // whose scales reach as far as F32
                {
                    Assert.Equal(bad, Op.Convert(Op.Convert(x, type), ElementType.F32).Floats[768 + 500], bad / 4);
                    continue;
                }

                var error = Assert.Throws<ArgumentException>(() => Op.Convert(x, type)).Message;
                if (bad == 3e38f) Assert.Contains("more than F16 holds", error, StringComparison.Ordinal);
                else Assert.Equal($"convert: element 500 of row 1 is {bad}, which {type} cannot hold", error);
            }
    }

    [Fact]
    public void Indices_are_not_converted()
    {
        using var scope = Arena.Current.Scope();
        Assert.Throws<ShapeException>(() => Op.Convert(Tensor.Temporary([1], ElementType.I32), ElementType.F32));
        Assert.Throws<ShapeException>(() => Op.Convert(Tensor.Temporary([1]), ElementType.I32));
        Assert.Throws<ShapeException>(() => Op.Convert(Tensor.Temporary([2]), Tensor.Temporary([3])));
    }
}
