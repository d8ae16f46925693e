using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Operations on rows that are large enough to be cut into parts, against plain loops.</summary>
public class ManyPartsTests
{
    private const int Tokens = 701, Width = 131, Experts = 5, Each = 2;

    private static readonly float[] s_x = OperationCheck.Random([Tokens, Width], 1).Values;
    private static readonly float[] s_upstream = OperationCheck.Random([Tokens, Width], 2).Values;

    [Fact]
    public void Looking_rows_up_and_adding_their_gradients_agree_with_plain_loops()
    {
        const int Rows = 90;
        var ids = Samples.Below(Rows, Tokens, 3);
        var (_, table) = OperationCheck.Random([Rows, Width], 4);
        Check(
            x => Op.Embedding(Tensor.From(ids, [Tokens]), x[0], 3), [([Rows, Width], table)],
            (y, dx, dy) => Each2(Tokens, Width, (token, j) =>
            {
                y[(token * Width) + j] = 3.0 * table[(ids[token] * Width) + j];
                dx[0][(ids[token] * Width) + j] += 3.0 * dy[(token * Width) + j];
            }));
    }

    [Fact]
    public void Dispatching_and_combining_agree_with_plain_loops()
    {
        var choices = Choices();
        var (_, gates) = OperationCheck.Random([Tokens, Each], 5);
        Check(
            x =>
            {
                var plan = DispatchPlan.From(Tensor.From(choices, [Tokens, Each]), Experts);
                return Op.Combine(Op.Dispatch(x[0], plan), x[1], plan);
            },
            [([Tokens, Width], s_x), ([Tokens, Each], gates)],
            (y, dx, dy) => Each2(Tokens, Width, (token, j) =>
            {
                var at = (token * Width) + j;
                for (var choice = token * Each; choice < (token + 1) * Each; choice++)
                {
                    y[at] += (double)gates[choice] * s_x[at];
                    dx[0][at] += (double)gates[choice] * dy[at];
                    dx[1][choice] += (double)s_x[at] * dy[at];
                }
            }));
    }

    [Fact]
    public void Combining_a_tensor_with_itself_as_gates_collects_both_gradients()
    {
        const int Slots = 40_000;
        var groups = Samples.Below(3, Slots, 6);
        var (_, x) = OperationCheck.Random([Slots, 1], 7);
        using var scope = Arena.Current.Scope();
        var slots = DispatchPlan.From(Tensor.From(groups, [Slots, 1]), 3).Slots.Ints.ToArray();
        Check(
            tensors => Op.Combine(tensors[0], tensors[0], DispatchPlan.From(Tensor.From(groups, [Slots, 1]), 3)), [([Slots, 1], x)],
            (y, dx, dy) =>
            {
                for (var token = 0; token < Slots; token++)
                {
                    y[token] = (double)x[token] * x[slots[token]];
                    dx[0][token] += (double)dy[token] * x[slots[token]];
                    dx[0][slots[token]] += (double)dy[token] * x[token];
                }
            });
    }

    [Fact]
    public void Scaling_groups_agrees_with_plain_loops()
    {
        const int Groups = 2, Columns = 2 * 67;
        var (_, x) = OperationCheck.Random([Tokens, Columns], 8);
        var (_, factors) = OperationCheck.Random([Tokens, 3], 9);
        Check(
            tensors => Op.ScaleGroups(tensors[0], tensors[1], Groups, first: 1, scale: 0.5f),
            [([Tokens, Columns], x), ([Tokens, 3], factors)],
            (y, dx, dy) => Each2(Tokens, Columns, (token, j) =>
            {
                var (at, factor) = ((token * Columns) + j, (token * 3) + 1 + (j * Groups / Columns));
                y[at] = 0.5 * x[at] * factors[factor];
                dx[0][at] = 0.5 * dy[at] * factors[factor];
                dx[1][factor] += 0.5 * dy[at] * x[at];
            }));
    }

    [Fact]
    public void Softmax_agrees_with_plain_loops() => Check(
        x => Op.Softmax(x[0]), [([Tokens, Width], s_x)],
        (y, dx, dy) =>
        {
            for (var at = 0; at < y.Length; at += Width)
            {
                var powers = s_x.AsSpan(at, Width).ToArray().Select(value => Math.Exp(value)).ToArray();
                var total = powers.Sum();
                var row = powers.Select(power => power / total).ToArray();
                var along = row.Zip(dy[at..(at + Width)], (share, slope) => share * slope).Sum();
                for (var j = 0; j < Width; j++) (y[at + j], dx[0][at + j]) = (row[j], row[j] * (dy[at + j] - along));
            }
        });

    [Fact]
    public void The_largest_of_many_rows_are_each_rows_own()
    {
        using var scope = Arena.Current.Scope();
        var top = Op.TopIndices(Tensor.From(s_x, [Tokens, Width]), 3).Ints.ToArray();
        for (var token = 0; token < Tokens; token++)
        {
            var row = s_x.AsSpan(token * Width, Width).ToArray();
            Assert.Equal(Enumerable.Range(0, Width).OrderByDescending(i => row[i]).Take(3), top.AsSpan(token * 3, 3).ToArray());
        }
    }

    [Fact]
    public void Sums_of_columns_are_exact_whatever_the_cut()
    {
        foreach (var width in new[] { 1, 31, 32, 33, 64, 257 })
        {
            var rows = Enumerable.Range(0, 900 * width).Select(i => (float)(i % 7)).ToArray();
            var sum = Enumerable.Repeat(1f, width).ToArray();
            RowKernels.SumRows(rows, sum);
            for (var j = 0; j < width; j++) Assert.Equal(1 + Enumerable.Range(0, 900).Sum(row => rows[(row * width) + j]), sum[j]);
        }
    }

    private static int[] Choices()
    {
        var first = Samples.Below(Experts, Tokens, 10);
        return [.. first.SelectMany((group, token) => new[] { group, (group + 1 + (token % (Experts - 1))) % Experts })];
    }

    private static void Each2(int rows, int columns, Action<int, int> run)
    {
        for (var row = 0; row < rows; row++)
            for (var column = 0; column < columns; column++) run(row, column);
    }

    /// <summary>Compares values and gradients with those that <paramref name="loops"/> fills in, from the gradient that comes in.</summary>
    private static void Check(
        Func<Tensor[], Tensor> operation, (Shape Shape, float[] Values)[] inputs, Action<double[], double[][], float[]> loops)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var tensors = inputs.Select(input => Tensor.From(input.Values, input.Shape).WithGradient()).ToArray();
        var y = operation(tensors);
        var dy = y.Shape.Count == s_upstream.Length ? s_upstream : OperationCheck.Random(y.Shape, 11).Values;
        var expected = new double[dy.Length];
        var gradients = inputs.Select(input => new double[input.Values.Length]).ToArray();
        loops(expected, gradients, dy);
        OperationCheck.Compare("value", expected, y.ToArray(), 2e-6);
        tape.Backward(y, dy);
        for (var i = 0; i < inputs.Length; i++) OperationCheck.Compare($"gradient {i}", gradients[i], tensors[i].Gradient.ToArray(), 2e-6);
    }
}
