namespace Tessera.Tensors.Tests.Ops;

public class RecurrentSequenceTests
{
    [Fact]
    public void A_row_of_length_zero_keeps_its_initial_state_and_hands_its_gradient_back()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var weights = Weights(inputs: 3, units: 2);
        var initial = Random([2, 2], 9).WithGradient();
        var result = Op.Lstm(Random([2, 4, 3], 1), weights, initial, initial, Tensor.From([0, 4], [2]));
        Assert.Equal(initial.Floats[..2], result.FinalHidden.Floats[..2]);
        Assert.Equal(initial.Floats[..2], result.FinalCell.Floats[..2]);
        Assert.All(result.Outputs.Floats[..8].ToArray(), value => Assert.Equal(0, value));

        tape.Backward(result.FinalHidden, [1, 2, 0, 0]);
        Assert.Equal([1, 2, 0, 0], initial.Gradient.ToArray());
    }

    [Fact]
    public void Batches_without_steps_or_rows_return_the_initial_state()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var initial = Random([2, 5], 9).WithGradient();
        var result = Op.Gru(Tensor.Temporary([2, 0, 3]), GruWeights(inputs: 3, units: 5), initial);
        Assert.Equal(initial.ToArray(), result.FinalHidden.ToArray());
        tape.Backward(result.FinalHidden, Enumerable.Repeat(1f, 10).ToArray());
        Assert.All(initial.Gradient.ToArray(), value => Assert.Equal(1, value));
        Assert.Equal(0, Op.Gru(Tensor.Temporary([0, 4, 3]), GruWeights(inputs: 3, units: 5)).Outputs.Shape.Count);
    }

    [Fact]
    public void What_stands_beyond_a_rows_end_has_no_effect()
    {
        var (one, gradients) = PaddedWith(0.5f);
        var (other, otherGradients) = PaddedWith(-30);
        Assert.Equal(one, other);
        Assert.Equal(gradients, otherGradients);

        static (float[] Outputs, float[] Gradients) PaddedWith(float padding)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Random([3, 6, 4], 3).WithGradient();
            x.Floats[(4 * 4)..(6 * 4)].Fill(padding); // row 0, whose length is 4
            var (forward, backward) = (Weights(4, 20, seed: 20), Weights(4, 20, seed: 40));
            var outputs = Op.BidirectionalLstm(x, forward, backward, lengths: Tensor.From([4, 6, 5], [3])).Outputs;
            tape.Backward(outputs, Random(outputs.Shape, 8).ToArray());
            return (outputs.ToArray(),
                [
                    .. x.Gradient,
                    .. forward.Input.Gradient,
                    .. forward.Recurrent.Gradient,
                    .. backward.Recurrent.Gradient,
                    .. backward.InputBias!.Gradient,
                ]);
        }
    }

    [Fact]
    public void Both_directions_at_once_give_the_bits_of_one_after_the_other()
    {
        using var scope = Arena.Current.Scope();
        var x = Random([9, 7, 6], 3);
        var lengths = Tensor.From([7, 3, 5, 7, 1, 2, 7, 6, 0], [9]);
        var (forward, backward) = (Weights(6, 19, seed: 20), Weights(6, 19, seed: 40));
        var both = Op.BidirectionalLstm(x, forward, backward, lengths: lengths);
        var left = Op.Lstm(x, forward, lengths: lengths);
        var right = Op.Lstm(x, backward, lengths: lengths, reverse: true);
        var joined = left
            .Outputs.ToArray()
            .Chunk(19)
            .Zip(right.Outputs.ToArray().Chunk(19), (a, b) => a.Concat(b))
            .SelectMany(row => row)
            .ToArray();
        Assert.Equal(joined, both.Outputs.ToArray());
        Assert.Equal([.. left.FinalCell.ToArray(), .. right.FinalCell.ToArray()], both.FinalCell.ToArray());
    }

    [Fact]
    public void A_row_alone_has_the_bits_it_has_in_a_batch()
    {
        using var scope = Arena.Current.Scope();
        var initial = Random([11, 40], 3);
        var (x, weights) = (Random([11, 5, 6], 4), GruWeights(6, 40));
        var all = Op.Gru(x, weights, initial).Outputs;
        for (var row = 0; row < 11; row++)
        {
            var alone = Op.Gru(
                Tensor.From(x.Floats.Slice(row * 30, 30), [1, 5, 6]), weights, Tensor.From(initial.Floats.Slice(row * 40, 40), [1, 40]));
            Assert.Equal(all.Floats.Slice(row * 200, 200), alone.Outputs.Floats);
        }
    }

    [Fact]
    public void Equal_runs_give_equal_bits_and_later_ones_leave_no_garbage()
    {
        var weights = Weights(24, 40);
        var first = Step(weights);
        for (var i = 0; i < 3; i++)
        {
            var again = Step(weights);
            Assert.Equal(first.Gradient, again.Gradient);
        }

        Assert.InRange(Step(weights).Allocated, 0, 100); // a message that the tape prepares

        static (float[] Gradient, long Allocated) Step(LstmWeights weights)
        {
            foreach (var tensor in new[] { weights.Input, weights.Recurrent, weights.InputBias!, weights.RecurrentBias! })
                tensor.ClearGradient();
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Random([8, 12, 24], 3);
            var lengths = Tensor.From([12, 3, 5, 7, 12, 2, 7, 6], [8]);
            var upstream = Random([8, 40], 5).ToArray();
            var before = GC.GetAllocatedBytesForCurrentThread();
            tape.Backward(Op.Lstm(x, weights, lengths: lengths).FinalHidden, upstream);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            return ([.. weights.Input.Gradient, .. weights.Recurrent.Gradient, .. weights.InputBias!.Gradient], allocated);
        }
    }

    [Fact]
    public void Huge_inputs_saturate_and_a_NaN_stays_in_its_row()
    {
        using var scope = Arena.Current.Scope();
        var x = Random([2, 3, 4], 3);
        x.Floats[..6].Fill(1e30f);
        x.Floats[6..12].Fill(-1e30f);
        x.Floats[12] = float.NaN;
        var outputs = Op.Lstm(x, Weights(4, 18)).Outputs.ToArray();
        Assert.All(outputs[..54], value => Assert.InRange(value, -1, 1));
        Assert.All(outputs[54..], value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void Weights_without_biases_are_weights_with_biases_of_zero()
    {
        using var scope = Arena.Current.Scope();
        var x = Random([2, 3, 4], 3);
        var weights = GruWeights(4, 6);
        weights.InputBias!.Floats.Clear();
        weights.RecurrentBias!.Floats.Clear();
        Assert.Equal(Op.Gru(x, weights).Outputs.ToArray(), Op.Gru(x, new GruWeights(weights.Input, weights.Recurrent)).Outputs.ToArray());
    }

    [Fact]
    public void What_does_not_fit_is_named_with_what_is_allowed()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.Temporary([2, 3, 4]);
        var weights = Weights(4, 5);
        Assert.Contains("lstm: x is F32 [2, 12], expected F32 [batch, length, inputs]",
            Assert.Throws<ShapeException>(() => Op.Lstm(x.Reshape([2, 12]), weights)).Message, StringComparison.Ordinal);
        Assert.Contains("lstm: recurrent weight is F32 [15, 5], expected F32 [4 hidden, hidden]",
            Assert.Throws<ShapeException>(() => Op.Lstm(x, weights with { Recurrent = Tensor.Temporary([15, 5]) })).Message,
            StringComparison.Ordinal);
        Assert.Contains("lstm: input weight is F32 [20, 4], expected F32 [20, 3]",
            Assert.Throws<ShapeException>(() => Op.Lstm(x.Reshape([2, 4, 3]), weights)).Message, StringComparison.Ordinal);
        Assert.Contains("lstm: recurrent weight is F32 [24, 6], expected F32 [20, 5]",
            Assert.Throws<ShapeException>(() => Op.BidirectionalLstm(x, weights, Weights(4, 6))).Message, StringComparison.Ordinal);
        Assert.Contains("gru: initial hidden state is F32 [2, 5], expected F32 [2, 2, 5]",
            Assert
                .Throws<ShapeException>(() => Op.BidirectionalGru(x, GruWeights(4, 5), GruWeights(4, 5), Tensor.Temporary([2, 5])))
                .Message,
            StringComparison.Ordinal);
        Assert.Contains("lstm: lengths is F32 [2], expected I32 [2]",
            Assert.Throws<ShapeException>(() => Op.Lstm(x, weights, lengths: Tensor.Temporary([2]))).Message, StringComparison.Ordinal);
        Assert.Contains("lstm: lengths[1] is 4, expected 0 to 3",
            Assert.Throws<ArgumentException>(() => Op.Lstm(x, weights, lengths: Tensor.From([0, 4], [2]))).Message,
            StringComparison.Ordinal);
    }

    private static Tensor Random(Shape shape, int seed, double scale = 1) =>
        Tensor.From(OperationCheck.Random(shape, seed, scale).Values, shape);

    private static LstmWeights Weights(int inputs, int units, int seed = 50) => new(
            Parameter([4 * units, inputs], seed), Parameter([4 * units, units], seed + 1), Parameter([4 * units], seed + 2),
            Parameter([4 * units], seed + 3));

    private static GruWeights GruWeights(int inputs, int units) => new(
        Parameter([3 * units, inputs], 60), Parameter([3 * units, units], 61), Parameter([3 * units], 62), Parameter([3 * units], 63));

    private static Tensor Parameter(Shape shape, int seed)
    {
        var parameter = Tensor.AllocateParameter(shape);
        OperationCheck.Random(shape, seed, 0.4).Values.CopyTo(parameter.Floats);
        return parameter;
    }
}
