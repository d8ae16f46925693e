namespace Tessera.Tensors.Tests.Ops;

/// <summary>What holds for the gradient of every operation, whatever it computes.</summary>
public class EveryOperationTests
{
    private static readonly int[] s_choices = [0, 2, 1, 0, 3, 1];

    private static readonly Dictionary<string, (Func<Tensor[], Tensor> Operation, Shape[] Inputs)> s_operations = new()
    {
        ["activate"] = (x => Op.Activate(x[0], Activation.Silu), [[3, 19]]),
        ["gate"] = (x => Op.Gate(x[0], x[1], Activation.Gelu), [[3, 19], [3, 19]]),
        ["clamped gate"] = (x => Op.ClampedGate(x[0], x[1], 1.702f, 1), [[3, 19], [3, 19]]),
        ["add"] = (x => Op.Add(x[0], x[1]), [[3, 19], [3, 19]]),
        ["multiply"] = (x => Op.Multiply(x[0], x[1]), [[3, 19], [3, 19]]),
        ["add row"] = (x => Op.AddRow(x[0], x[1]), [[3, 19], [19]]),
        ["multiply row"] = (x => Op.MultiplyRow(x[0], x[1]), [[3, 19], [19]]),
        ["normalize rows"] = (x => Op.NormalizeRows(x[0]), [[3, 19]]),
        ["take segments"] = (x => Segments().Take(x[0]), [[2, 4, 19]]),
        ["place segments"] = (x => Segments().Place(x[0]), [[3, 3, 19]]),
        ["scale"] = (x => Op.Scale(x[0], 3), [[3, 19]]),
        ["rms norm"] = (x => Op.RmsNorm(x[0], x[1], 1e-5f), [[3, 19], [19]]),
        ["layer norm"] = (x => Op.LayerNorm(x[0], x[1], x[2], 1e-5f), [[3, 19], [19], [19]]),
        ["product"] = (x => Op.Product(x[0], x[1]), [[3, 19], [19, 5]]),
        ["linear maps"] = (
            x =>
            {
                var (first, second) = Op.Linear(Activations.Of(x[0]), new LinearMap(x[1]), new LinearMap(x[2]));
                return Op.Add(first, second);
            },
            [[3, 19], [5, 19], [5, 19]]),
        ["embedding"] = (x => Op.Embedding(Tensor.From([1, 0, 1], [3]), x[0], 2), [[4, 19]]),
        ["dropout"] = (x => Op.Dropout(x[0], 0.4f, new CounterRandom(1)), [[3, 19]]),
        ["rotate"] = (x => Op.Rotate(x[0], Tensor.From([2, 0, 1], [1, 3]), Table(1), Table(2), RotaryLayout.Halves), [[1, 3, 2, 19]]),
        ["softmax"] = (x => Op.Softmax(x[0]), [[3, 19]]),
        ["select"] = (x => Op.Select(x[0], Tensor.From(s_choices, [3, 2]), normalise: true), [[3, 19]]),
        ["scale groups"] = (x => Op.ScaleGroups(x[0], x[1], 3), [[3, 18], [3, 3]]),
        ["dispatch"] = (x => Op.Dispatch(x[0], Plan()), [[3, 19]]),
        ["combine"] = (x => Op.Combine(x[0], x[1], Plan()), [[6, 19], [3, 2]]),
        ["balance loss"] = (x => Op.BalanceLoss(x[0], Plan()), [[3, 4]]),
        ["cross entropy"] = (x => Op.CrossEntropy(x[0], Tensor.From([1, -1, 18], [3]), new(0.1f, 0.1f)), [[3, 19]]),
        ["linear cross entropy"] = (
            x => Op.LinearCrossEntropy(x[0], x[1], Tensor.From([1, -1, 6], [3]), new(0.1f, 0.1f)),
            [
                [3, 19], [7, 19]]),
        ["linear cross entropy of capped logits with a bias"] = (
            x => Op.LinearCrossEntropy(x[0], x[1], Tensor.From([1, -1, 6], [3]), new(0.1f, 0.1f), x[2], 2), [[3, 19], [7, 19], [7]]),
        ["feed-forward"] = (
            x => Op.FeedForward(x[0], new(x[1]), new(x[2], x[4]), new(x[3]), Activation.Silu), [[3, 19], [7, 19], [7, 19], [19, 7], [7]]),
        ["pool"] = (x => Op.Pool(x[0], Pooling.Mean, Tensor.From([3, 2], [2])), [[2, 3, 19]]),
        ["fill beyond"] = (x => Op.FillBeyond(x[0], Tensor.From([19, 4, 0], [3]), -3), [[3, 19]]),
        ["squared error"] = (x => Op.SquaredError(x[0], Tensor.From([0.5f, float.NaN, 2], [3])), [[3]]),
        ["checkpoint"] = (x => Op.Checkpoint(x[0], inner => Op.Gate(inner, x[1], Activation.Silu)), [[3, 19], [3, 19]]),
    };

    public static TheoryData<string> Operations => [.. s_operations.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void A_gradient_is_added_to_those_that_are_there(string name)
    {
        var once = Gradients(name, (x, operation) => operation(x));
        var twice = Gradients(name, (x, operation) => Op.Add(operation(x), operation(x)));
        for (var i = 0; i < once.Length; i++)
            OperationCheck.Compare($"{name}, input {i}", [.. once[i].Select(value => 2.0 * value)], twice[i], 1e-6);
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void The_gradient_of_one_input_is_the_same_whether_or_not_others_want_theirs(string name)
    {
        var all = Gradients(name, (x, operation) => operation(x));
        for (var i = 0; i < all.Length; i++)
        {
            var alone = Gradients(name, (x, operation) => operation(x), only: i);
            Assert.Equal(all[i], alone[i]);
            Assert.All(alone.Where((_, other) => other != i), gradient => Assert.Empty(gradient));
        }
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void Nothing_is_recorded_where_no_input_wants_a_gradient(string name)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (operation, shapes) = s_operations[name];
        Assert.False(operation([.. shapes.Select((shape, i) => Input(shape, i))]).RequiresGradient);
    }

    private static float[][] Gradients(string name, Func<Tensor[], Func<Tensor[], Tensor>, Tensor> use, int only = -1)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (operation, shapes) = s_operations[name];
        var inputs = shapes.Select((shape, i) => only < 0 || only == i ? Input(shape, i).WithGradient() : Input(shape, i)).ToArray();
        var y = use(inputs, operation);
        tape.Backward(y, OperationCheck.Random(y.Shape, 9).Values);
        return [.. inputs.Select(input => input.Gradient.ToArray())];
    }

    private static Tensor Input(Shape shape, int seed)
    {
        var values = OperationCheck.Random(shape, seed + 1).Values;
        return Tensor.From([.. values.Select(value => Math.Abs(value) + 0.1f)], shape);
    }

    private static Tensor Table(int seed) => Tensor.From(OperationCheck.Random([3, 8], seed).Values, [3, 8]);

    private static SegmentPlan Segments() => SegmentPlan.Of(Tensor.From([0, 0, 1, -1, 0, 0, 0, -1], [2, 4]));

    private static DispatchPlan Plan() => DispatchPlan.From(Tensor.From(s_choices, [3, 2]), 4);
}
