using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>What x is rounded to is used by all weights that read it, and gives the bits that each would get alone.</summary>
public class ActivationsTests
{
    private static readonly ElementType[] s_types = [ElementType.F32, .. Stored.Types];

    [Fact]
    public void Weights_that_share_activations_give_the_bits_they_give_alone_on_random_shapes()
    {
        var sizes = Gen.Choose(1, 40).Zip(Gen.Elements(256, 512), Gen.Elements(1, 3, 17, 40))
            .Zip(Gen.Elements(s_types).ArrayOf(3), Gen.Elements(Precision.F32, Precision.BF16)).Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((rows, inputs, outputs), types, precision), seed) = size;
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            var x = Tensor.From(OperationCheck.Random([rows, inputs], seed).Values, [rows, inputs]);
            using var shared = Activations.Of(x);
            for (var i = 0; i < types.Length; i++)
            {
                var weight = Stored.Weight(types[i], [outputs + i, inputs], seed + i);
                Assert.Equal(Op.Linear(x, weight).ToArray(), Op.Linear(shared, weight).ToArray());
            }
        });
    }

    [Fact]
    public void Groups_of_weights_that_share_activations_give_the_bits_they_give_alone_on_random_shapes()
    {
        var sizes = Gen.Choose(0, 35).Zip(Gen.Choose(0, 35), Gen.Elements(0, 1, 90))
            .Zip(Gen.Elements(s_types).ArrayOf(2), Gen.Elements(Precision.F32, Precision.BF16)).Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((first, second, last), types, precision), seed) = size;
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            var rows = first + second + last;
            var x = Tensor.From(OperationCheck.Random([rows, 256], seed).Values, [rows, 256]);
            var offsets = Tensor.From([0, first, first + second, first + second, rows], [5]);
            using var shared = Activations.Of(x);
            for (var i = 0; i < types.Length; i++)
            {
                var weight = Stored.Weight(types[i], [4, 20, 256], seed + i);
                Assert.Equal(Op.GroupedLinear(x, weight, offsets).ToArray(), Op.GroupedLinear(shared, weight, offsets).ToArray());
            }
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    public void X_is_rounded_once_until_its_memory_is_given_back(int rows)
    {
        using var scope = Arena.Current.Scope();
        var (first, second) = (Stored.Weight(ElementType.Q8_0, [7, 64], 1), Stored.Weight(ElementType.Q4_0, [9, 64], 2));
        var x = Tensor.From(OperationCheck.Random([rows, 64], 3).Values, [rows, 64]);
        var expected = Op.Linear(x, second).ToArray();
        var shared = Activations.Of(x);
        Op.Linear(shared, first);
        x.Floats.Clear(); // nobody may, but so it shows who looks at x again
        Assert.Equal(expected, Op.Linear(shared, second).ToArray());
        shared.Dispose();
        Assert.All(Op.Linear(shared, second).ToArray(), y => Assert.Equal(0, y));
    }

    [Fact]
    public void What_a_scope_further_in_needed_first_outlives_it()
    {
        using var scope = Arena.Current.Scope();
        var weight = Stored.Weight(ElementType.Q8_0, [7, 64], 1);
        var x = Tensor.From(OperationCheck.Random([5, 64], 3).Values, [5, 64]);
        var expected = Op.Linear(x, weight).ToArray();
        using var shared = Activations.Of(x);
        using (Arena.Current.Scope()) Assert.Equal(expected, Op.Linear(shared, weight).ToArray());
        for (var i = 0; i < 20; i++) Tensor.Temporary([5 * (i + 1), 64]).Floats.Fill(float.NaN); // where the scope's memory was
        Assert.Equal(expected, Op.Linear(shared, weight).ToArray());
    }

    [Fact]
    public void They_end_with_their_scope_and_may_be_kept_outside_of_any() => Samples.OnNewThread(() =>
    {
        var weight = Stored.Weight(ElementType.Q8_0, [7, 64], 1);
        Activations ended;
        using (Arena.Current.Scope())
        {
            ended = Activations.Of(Tensor.From(new float[64], [1, 64]));
            Op.Linear(ended, weight);
        }

        ended.Dispose();
        Assert.Contains("Activations", Assert.Throws<ObjectDisposedException>(() => ended.Tensor).Message, StringComparison.Ordinal);

        var x = Tensor.Allocate([3, 64]);
        OperationCheck.Random([3, 64], 3).Values.CopyTo(x.Floats);
        using var kept = Activations.Of(x);
        using (Arena.Current.Scope())
        {
            var expected = Op.Linear(x, weight).ToArray();
            Assert.Equal(expected, Op.Linear(kept, weight).ToArray());
            using (Arena.Current.Scope()) Assert.Equal(expected, Op.Linear(kept, weight).ToArray());
        }
    });

    [Fact]
    public void Gradients_pass_through_shared_activations()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (stored, dense) = (Stored.Weight(ElementType.Q8_0, [7, 64], 1), Tensor.AllocateParameter([7, 64]));
        OperationCheck.Random([7, 64], 2).Values.CopyTo(dense.Floats);
        var x = Tensor.From(OperationCheck.Random([5, 64], 3).Values, [5, 64]).WithGradient();
        var upstream = OperationCheck.Random([5, 7], 4).Values;
        using var shared = Activations.Of(x);
        tape.Backward(Op.Add(Op.Linear(shared, stored), Op.Linear(shared, dense)), upstream);
        var sum = Stored.Values(stored).Zip(dense.ToArray(), (left, right) => (double)left + right).ToArray();
        var expected = Enumerable.Range(0, 5 * 64).Select(i =>
            Enumerable.Range(0, 7).Sum(output => upstream[(i / 64 * 7) + output] * sum[(output * 64) + (i % 64)]));
        OperationCheck.Compare("gradient of x", [.. expected], x.Gradient.ToArray(), 1e-5);
        var outer = Enumerable.Range(0, 7 * 64).Select(i =>
            Enumerable.Range(0, 5).Sum(row => (double)upstream[(row * 7) + (i / 64)] * x.Floats[(row * 64) + (i % 64)]));
        OperationCheck.Compare("gradient of the weight", [.. outer], dense.Gradient.ToArray(), 1e-5);
    }

    [Fact]
    public void Sharing_allocates_nothing_and_takes_no_more_memory_with_each_use() => Samples.OnNewThread(() =>
    {
        Tensor[] weights = [.. Stored.Types.Select(type => Stored.Weight(type, [40, 256], 3))];
        var x = Tensor.Allocate([3, 256]);
        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            using var scope = Arena.Current.Scope();
            for (var i = 0; i < 10; i++)
            {
                using var shared = Activations.Of(x);
                foreach (var weight in weights) _ = Op.Linear(shared, weight);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        for (var i = 0; i < 40; i++) Allocated(); // the runtime allocates too, while it compiles again what is used often
        var capacity = Arena.Current.Capacity;
        Assert.Equal(0, Allocated());
        Assert.Equal(capacity, Arena.Current.Capacity);
    });
}
