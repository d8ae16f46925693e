using Tessera.Tensors.Tests.Quantization;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Several maps of one x are those maps one by one, to the last bit.</summary>
public class LinearMapsTests
{
    private const int Inputs = 512;

    public static TheoryData<ElementType, int> Cases
    {
        get
        {
            var cases = new TheoryData<ElementType, int>();
            foreach (var type in Stored.Types.Prepend(ElementType.F32))
                foreach (var rows in (int[])[1, 2, 3, 14, 40]) cases.Add(type, rows);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Maps_together_give_the_bits_of_each_alone(ElementType type, int rows)
    {
        using var scope = Arena.Current.Scope();
        var x = Activations.Of(Random([1, rows, Inputs], 1));
        var maps = new[] { Map(type, 300, 2, bias: true), Map(type, 64, 3, bias: false), Map(type, 500, 4, bias: true) };
        var (two, three) = (Op.Linear(x, maps[0], maps[1]), Op.Linear(x, maps[0], maps[1], maps[2]));
        var alone = maps.Select(map => Op.Linear(x, map.Weight, map.Bias).ToArray()).ToArray();
        Assert.Equal([1, rows, 300], two.First.Shape);
        Assert.Equal(alone[0], two.First.ToArray());
        Assert.Equal(alone[1], two.Second.ToArray());
        Assert.Equal(alone[0], three.First.ToArray());
        Assert.Equal(alone[1], three.Second.ToArray());
        Assert.Equal(alone[2], three.Third.ToArray());
    }

    [Fact]
    public void Weights_of_different_types_may_be_multiplied_together()
    {
        using var scope = Arena.Current.Scope();
        var x = Activations.Of(Random([1, Inputs], 1));
        var maps = new[] { Map(ElementType.Q8_0, 300, 2, false), Map(ElementType.F32, 64, 3, true), Map(ElementType.BF16, 500, 4, true) };
        var (first, second, third) = Op.Linear(x, maps[0], maps[1], maps[2]);
        Assert.Equal(Op.Linear(x, maps[0].Weight).ToArray(), first.ToArray());
        Assert.Equal(Op.Linear(x, maps[1].Weight, maps[1].Bias).ToArray(), second.ToArray());
        Assert.Equal(Op.Linear(x, maps[2].Weight, maps[2].Bias).ToArray(), third.ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(70)]
    public void Gradients_are_those_of_the_maps_one_by_one(int rows)
    {
        var together = Gradients(rows, (x, maps) =>
        {
            var (first, second, third) = Op.Linear(x, maps[0], maps[1], maps[2]);
            return [first, second, third];
        });
        var alone = Gradients(rows, (x, maps) => [.. maps.Select(map => Op.Linear(x, map.Weight, map.Bias))]);
        for (var i = 0; i < alone.Length; i++) Assert.Equal(alone[i], together[i]);
    }

    [Fact]
    public void After_a_map_that_does_not_fit_others_are_computed_at_once()
    {
        using var scope = Arena.Current.Scope();
        var x = Activations.Of(Random([1, Inputs], 1));
        var map = Map(ElementType.F32, 300, 2, bias: true);
        Assert.Throws<ShapeException>(() => Op.Linear(x, map, new LinearMap(Tensor.Temporary([4, Inputs + 1]))));
        Assert.Equal(Op.Linear(x, map, map).First.ToArray(), Op.Linear(x, map.Weight, map.Bias).ToArray());
    }

    [Fact]
    public void Maps_together_allocate_nothing()
    {
        var (weights, x) = (Map(ElementType.F32, 300, 2, bias: false), Random([1, Inputs], 1));
        long Step()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            using (Arena.Current.Scope())
            {
                using var shared = Activations.Of(x);
                Op.Linear(shared, weights, weights, weights);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        for (var step = 0; step < 100; step++) Step();
        Assert.Equal(0, Step());
    }

    private static float[][] Gradients(int rows, Func<Activations, LinearMap[], Tensor[]> apply)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Parameter(Random([rows, Inputs], 1));
        var maps = new[] { 2, 3, 4 }.Select(seed => new LinearMap(
            Parameter(Random([40 * seed, Inputs], seed)), Parameter(Random([40 * seed], seed + 10)))).ToArray();
        var outputs = apply(Activations.Of(x), maps);
        var loss = outputs.Select(y => Op.SquaredError(y.Reshape([(int)y.Shape.Count]), Random([(int)y.Shape.Count], 9))).Aggregate(Op.Add);
        tape.Backward(loss);
        Tensor[] inputs = [x, .. maps.Select(map => map.Weight), .. maps.Select(map => map.Bias!)];
        return [.. inputs.Select(input => input.Gradient.ToArray())];
    }

    private static Tensor Parameter(Tensor values)
    {
        var parameter = Tensor.AllocateParameter(values.Shape);
        values.Floats.CopyTo(parameter.Floats);
        return parameter;
    }

    private static LinearMap Map(ElementType type, int outputs, int seed, bool bias) => new(
        type == ElementType.F32 ? Random([outputs, Inputs], seed) : Stored.Weight(type, [outputs, Inputs], seed),
        bias ? Random([outputs], seed + 100) : null);

    private static Tensor Random(Shape shape, int seed) => Tensor.From(OperationCheck.Random(shape, seed).Values, shape);
}
