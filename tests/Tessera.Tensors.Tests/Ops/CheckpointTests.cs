using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class CheckpointTests(ITestOutputHelper output)
{
    [Fact]
    public void A_checkpoint_computes_what_its_segment_computes_on_random_shapes()
    {
        using var errors = new Errors(output, "checkpoint");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.Checkpoint(Op.Scale(x[0], 2), inner => Op.Gate(Op.Add(inner, x[1]), inner, Activation.Silu)),
                x => [.. x[0].Zip(x[1], (left, right) =>
                {
                    var (gate, up) = ((2 * left) + right, 2 * left);
                    return gate / (1 + Math.Exp(-gate)) * up;
                })],
                1e-6, OperationCheck.Random([rows, width], seed), OperationCheck.Random([rows, width], seed + 1)));
        });
    }

    [Fact]
    public void Gradients_are_the_same_bits_as_without_a_checkpoint_also_when_nested() => Samples.OnNewThread(() =>
    {
        var weight = Tensor.AllocateParameter([8, 8]);
        OperationCheck.Random([8, 8], 1).Values.CopyTo(weight.Floats);
        Tensor Layer(Tensor x) => Op.Activate(Op.Linear(Op.Dropout(x, 0.2f, new CounterRandom(3)), weight), Activation.Tanh);
        Tensor Two(Tensor x) => Layer(Layer(x));

        (float[] Y, float[] X, float[] Weight) Gradients(Func<Tensor, Tensor> model)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            weight.ClearGradient();
            var x = Tensor.From(OperationCheck.Random([5, 8], 2).Values, [5, 8]).WithGradient();
            var y = model(x);
            var values = y.ToArray();
            tape.Backward(y, OperationCheck.Random([5, 8], 4).Values);
            return (values, x.Gradient.ToArray(), weight.Gradient.ToArray());
        }

        var plain = Gradients(x => Two(Two(x)));
        var once = Gradients(x => Op.Checkpoint(Op.Checkpoint(x, Two), Two));
        var nested = Gradients(x => Op.Checkpoint(x, inner => Op.Checkpoint(Op.Checkpoint(inner, Two), Two)));
        foreach (var other in new[] { once, nested })
        {
            Assert.Equal(plain.Y, other.Y);
            Assert.Equal(plain.X, other.X);
            Assert.Equal(plain.Weight, other.Weight);
        }
    });

    /// <summary>Few rows with a parameter that a gradient is wanted of are multiplied in BF16, without one in F32: the first time, when
    /// nothing of a segment is kept, must go the way of the second.</summary>
    [Theory]
    [InlineData(Precision.BF16, 3, true)]
    [InlineData(Precision.BF16, 3, false)]
    [InlineData(Precision.BF16, 40, false)]
    [InlineData(Precision.F16, 3, false)]
    public void What_a_segment_gives_first_are_the_bits_it_gives_again(Precision precision, int rows, bool within) => Samples.OnNewThread(() =>
    {
        var weight = Tensor.AllocateParameter([48, 48]);
        OperationCheck.Random([48, 48], 1).Values.CopyTo(weight.Floats);
        var seen = new List<float[]>();
        Tensor Layer(Tensor x)
        {
            var y = Op.Linear(Op.Activate(Op.Linear(x, weight), Activation.Silu), weight);
            seen.Add(y.ToArray());
            return y;
        }

        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From(OperationCheck.Random([rows, 48], 2).Values, [rows, 48]).WithGradient();
        Tensor y;
        var cast = Autocast.Enter(precision);
        y = Op.Checkpoint(x, Layer);
        Layer(x); // what it is without a checkpoint
        if (!within) cast.Dispose();
        tape.Backward(y, OperationCheck.Random([rows, 48], 3).Values);
        if (within) cast.Dispose();
        Assert.Equal(3, seen.Count);
        Assert.Equal(seen[1], seen[0]);
        Assert.Equal(seen[1], seen[2]);
        Assert.Equal(seen[0], y.ToArray());
    });

    /// <summary>A decoder's layers look at the encoder's result: its gradient first arrives inside the checkpoint and must
    /// outlive it.</summary>
    [Fact]
    public void A_tensor_from_outside_keeps_the_gradient_that_reaches_it_inside_a_segment() => Samples.OnNewThread(() =>
    {
        float[] Gradient(bool checkpoint)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var source = Tensor.From(OperationCheck.Random([40, 8], 1).Values, [40, 8]).WithGradient();
            var memory = Op.Activate(source, Activation.Tanh);
            var x = Tensor.From(OperationCheck.Random([40, 8], 2).Values, [40, 8]).WithGradient();
            for (var layer = 0; layer < 3; layer++)
            {
                var depth = 5 - (2 * layer); // the first layers come last on the way back and need the most memory
                Tensor Layer(Tensor inner)
                {
                    for (var i = 0; i < depth; i++) inner = Op.Activate(inner, Activation.Silu);
                    return Op.Gate(inner, memory, Activation.Tanh);
                }

                x = checkpoint ? Op.Checkpoint(x, Layer) : Layer(x);
            }

            tape.Backward(x, OperationCheck.Random([40, 8], 3).Values);
            return source.Gradient.ToArray();
        }

        Assert.Equal(Gradient(checkpoint: false), Gradient(checkpoint: true));
    });

    [Fact]
    public void A_segment_may_return_its_input_or_ignore_it()
    {
        OperationCheck.Run(x => Op.Scale(Op.Checkpoint(x[0], inner => inner), 2), x => [.. x[0].Select(value => 2 * value)], 1e-6, OperationCheck.Random([7], 1));
        OperationCheck.Run(
            x => Op.Checkpoint(x[0], _ => Op.Scale(x[1], 3)), x => [.. x[1].Select(value => 3 * value)], 1e-6,
            OperationCheck.Random([7], 1), OperationCheck.Random([7], 2));
    }

    [Fact]
    public void Nothing_is_recorded_where_nothing_in_the_segment_needs_a_gradient()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([1f, 2], [2]);
        Assert.False(Op.Checkpoint(x, inner => Op.Scale(inner, 2)).RequiresGradient);
        Assert.False(Op.Checkpoint(x, inner => inner).RequiresGradient);
        Assert.True(Op.Checkpoint(x, inner => Op.RmsNorm(inner, Tensor.AllocateParameter([2]), 1)).RequiresGradient);
        Assert.True(Op.Checkpoint(x.WithGradient(), inner => inner).RequiresGradient);
    }

    [Fact]
    public void A_checkpoint_holds_its_input_and_not_its_intermediate_results() => Samples.OnNewThread(() =>
    {
        const int Floats = 1 << 18; // 1 MiB
        static Tensor Deep(Tensor x)
        {
            for (var i = 0; i < 8; i++) x = Op.Scale(x, 1.01f);
            return x;
        }

        long Capacity(bool checkpoint)
        {
            var capacity = 0L;
            Samples.OnNewThread(() =>
            {
                using (Arena.Current.Scope())
                using (var tape = Tape.Record())
                {
                    var x = Tensor.From(new float[Floats], [Floats]).WithGradient();
                    for (var segment = 0; segment < 4; segment++) x = checkpoint ? Op.Checkpoint(x, Deep) : Deep(x);
                    tape.Backward(x, new float[Floats]);
                    capacity = Arena.Current.Capacity;
                }
            });
            return capacity;
        }

        var (plain, checkpointed) = (Capacity(false), Capacity(true));
        Assert.True(checkpointed < 0.75 * plain, $"{checkpointed} bytes with checkpoints, {plain} without");
    });

    [Fact]
    public void A_segment_that_throws_leaves_the_thread_usable() => Samples.OnNewThread(() =>
    {
        for (var i = 0; i < 3; i++)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Tensor.From([1f, 2], [2]).WithGradient();
            Assert.Throws<InvalidOperationException>(() => Op.Checkpoint(x, _ => throw new InvalidOperationException("segment")));
            Assert.True(Tape.IsRecording);
            var calls = 0;
            var y = Op.Checkpoint(x, inner => calls++ == 0 ? Op.Scale(inner, 2) : throw new InvalidOperationException("again"));
            Assert.Throws<InvalidOperationException>(() => tape.Backward(y, [1, 1]));
            Assert.True(Tape.IsRecording);
        }

        Assert.False(Tape.IsRecording);
        OperationCheck.Run(x => Op.Scale(x[0], 2), x => [2 * x[0][0]], 1e-6, ([1], [3]));
    });
}
