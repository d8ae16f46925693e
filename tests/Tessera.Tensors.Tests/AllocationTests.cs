namespace Tessera.Tensors.Tests;

public class AllocationTests
{
    /// <summary>Everything a model's step is made of, wide and long enough for more than one part.</summary>
    [Theory]
    [InlineData(16, 24)]
    [InlineData(64, 1500)]
    public void A_step_seen_before_allocates_nothing(int tokens, int width) => Samples.OnNewThread(() =>
    {
        const int Heads = 4, Experts = 6, Classes = 50;
        Tensor Parameter(Shape shape, int seed)
        {
            var parameter = Tensor.AllocateParameter(shape);
            OperationCheck.Random(shape, seed, 0.1).Values.CopyTo(parameter.Floats);
            return parameter;
        }

        var (table, weight, bias) = (Parameter([Classes, width], 1), Parameter([width], 2), Parameter([width], 3));
        var (router, tables) = (Parameter([Experts, width], 4), Tensor.Allocate([Classes, width / Heads / 2]));
        var ids = Tensor.Allocate([1, tokens], ElementType.I32);
        Samples.Below(Classes, tokens, 1).CopyTo(ids.Ints);
        Func<Tensor, Tensor> segment = x => Op.LayerNorm(Op.Activate(x, Activation.Gelu), weight, bias, 1e-5f);
        var total = 0.0;

        void Step()
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Op.Dropout(Op.Embedding(ids, table), 0.1f, new CounterRandom(1)).Reshape([1, tokens, Heads, width / Heads]);
            x = Op.Rotate(x, ids, tables, tables, RotaryLayout.Halves).Reshape([tokens, width]);
            x = Op.Add(x, Op.Checkpoint(Op.RmsNorm(x, weight, 1e-5f), segment));
            var probabilities = Op.Softmax(Op.Linear(x, router));
            var choices = Op.TopIndices(probabilities, 2);
            var plan = DispatchPlan.From(choices, Experts);
            var slots = Op.Dispatch(x, plan);
            var gates = Op.ScaleGroups(Op.Select(probabilities, choices, normalise: true), probabilities, 2, scale: 2);
            x = Op.Add(x, Op.Combine(Op.Gate(slots, slots, Activation.Silu), gates, plan));
            var loss = Op.Add(
                Op.Add(Op.LinearCrossEntropy(x, table, ids), Op.CrossEntropy(Op.Linear(x, table), ids.Reshape([tokens]))),
                Op.Scale(Op.BalanceLoss(probabilities, plan), 0.01f));
            tape.Backward(loss);
            total += loss.Item();
            table.ClearGradient();
        }

        for (var i = 0; i < 5; i++) Step();
        var capacity = Arena.Current.Capacity;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 3; i++) Step();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated == 0, $"{allocated} bytes of garbage in three steps");
        Assert.Equal(capacity, Arena.Current.Capacity);
        Assert.True(double.IsFinite(total));
    });
}
