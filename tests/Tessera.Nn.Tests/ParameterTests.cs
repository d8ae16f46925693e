using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class ParameterTests
{
    [Fact]
    public void A_model_that_is_only_looked_at_makes_no_weights()
    {
        var part = new Linear(new PartBuilder(60_000, "x", new CounterRandom(1)), 60_000, 8_000, bias: true);
        Assert.Equal(480_008_000, part.ParameterCount());
        Assert.Equal(480_008_000, part.ActiveParameterCount());
        Assert.Equal(2 * 480_000_000.0, part.FlopsPerToken(1));
        Assert.All(part.Parameters(), own => Assert.False(own.Parameter.IsMade));
        Assert.Equal(["[8000, 60000]", "[8000]"], part.Parameters().Select(own => own.Parameter.Shape.ToString()));
    }

    [Fact]
    public void Weights_depend_on_their_names_alone_and_not_on_the_order_they_are_touched_in()
    {
        var (forwards, backwards) = (Parts(), Parts());
        var first = forwards.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray());
        var second = backwards.Parameters().Reverse().ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray());
        Assert.All(first, own => Assert.Equal(own.Value, second[own.Key]));

        var random = new CounterRandom(5).Derive("up").Derive("weight");
        Assert.Equal(Enumerable.Range(0, 12).Select(i => (float)(1 / Math.Sqrt(4) * random.Normal((ulong)i))), first["up.weight"]);

        static TwoMaps Parts() => new(new PartBuilder(4, "x", new CounterRandom(5)));
    }

    [Fact]
    public void A_peek_gives_the_weights_and_keeps_none()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        var peeked = parameter.Peek();
        Assert.False(parameter.IsMade);
        Assert.False(peeked.RequiresGradient);
        Assert.Equal(peeked.ToArray(), parameter.Value.ToArray());
        Assert.Same(parameter.Value, parameter.Peek());
        Assert.True(parameter.Value.RequiresGradient);
    }

    [Fact]
    public void Weights_from_a_source_are_read_once_when_they_are_first_touched_whatever_thread_comes_first()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        var old = parameter.Value;
        var reads = 0;
        parameter.ReadFrom(() =>
        {
            Interlocked.Increment(ref reads);
            Thread.Sleep(5);
            return Filled([3, 4], 7);
        });
        Assert.False(parameter.IsMade);
        Assert.Equal(0, reads);
        var seen = new Tensor[8];
        Parallel.For(0, seen.Length, i => seen[i] = parameter.Value);
        Assert.Equal(1, reads);
        Assert.All(seen, tensor => Assert.Same(parameter.Value, tensor));
        Assert.NotSame(old, parameter.Value);
        Assert.All(parameter.Value.ToArray(), value => Assert.Equal(7, value));
        Assert.True(parameter.IsTrained && parameter.Value.RequiresGradient);
    }

    [Fact]
    public void A_source_that_fails_is_asked_again()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        var fails = true;
        parameter.ReadFrom(() => fails ? throw new InvalidDataException("cut short") : Filled([3, 4], 1));
        Assert.Throws<InvalidDataException>(() => parameter.Value);
        fails = false;
        Assert.Equal(1, parameter.Value.Floats[0]);
    }

    [Fact]
    public void A_source_of_another_shape_or_type_is_refused()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        parameter.ReadFrom(() => Tensor.Allocate([4, 3]));
        Assert.Contains(
            "[3, 4] was given F32 [4, 3]", Assert.Throws<InvalidOperationException>(() => parameter.Value).Message,
            StringComparison.Ordinal);
        parameter.ReadFrom(() => Tensor.Allocate([3, 4], ElementType.BF16));
        Assert.Throws<InvalidOperationException>(() => parameter.Value);
    }

    [Theory]
    [InlineData(ElementType.BF16, false)]
    [InlineData(ElementType.F32, true)]
    public void Stored_and_fixed_weights_collect_no_gradient_and_still_count(ElementType type, bool isFixed)
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        parameter.ReadFrom(() => Tensor.Allocate([3, 4], type), type, isFixed);
        Assert.Equal(type, parameter.Type);
        Assert.True(parameter.IsTrained);
        Assert.False(parameter.Value.RequiresGradient);
        parameter.IsFrozen = true;
        parameter.IsFrozen = false;
        Assert.False(parameter.Value.RequiresGradient);
    }

    [Fact]
    public void What_is_frozen_before_it_is_made_has_no_gradient_until_it_is_thawed()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        parameter.IsFrozen = true;
        Assert.False(parameter.Value.RequiresGradient);
        parameter.IsFrozen = false;
        Assert.True(parameter.Value.RequiresGradient);
        parameter.IsFrozen = true;
        Assert.False(parameter.Value.RequiresGradient);
    }

    [Fact]
    public void Weights_that_are_to_be_written_to_leave_the_file_and_become_F32()
    {
        var parameter = new PartBuilder(4, "x", new CounterRandom(5)).Matrix("m", 3, 4);
        Assert.Same(parameter.Value, parameter.Writable());
        foreach (var type in new[] { ElementType.BF16, ElementType.F32 })
        {
            var stored = Tensor.Allocate([3, 4], type);
            Op.Convert(Filled([3, 4], 1.5f), stored);
            parameter.ReadFrom(() => stored, type, isFixed: true);
            var writable = parameter.Writable();
            Assert.NotSame(stored, writable);
            Assert.Same(parameter.Value, writable);
            Assert.True(writable.RequiresGradient);
            Assert.All(writable.ToArray(), value => Assert.Equal(1.5f, value));
        }
    }

    private static Tensor Filled(Shape shape, float value)
    {
        var tensor = Tensor.Allocate(shape);
        tensor.Floats.Fill(value);
        return tensor;
    }

    private sealed class TwoMaps : Module
    {
        public TwoMaps(PartBuilder part)
        {
            Own("up", new Linear(part.At("up"), 4, 3, bias: true));
            Own("down", new Linear(part.At("down"), 3, 4));
        }
    }
}
