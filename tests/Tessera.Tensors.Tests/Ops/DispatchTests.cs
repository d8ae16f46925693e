using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class DispatchTests(ITestOutputHelper output)
{
    private static readonly Gen<(int Tokens, int Choices, int Groups, int Width, int Seed)> s_sizes =
        Gen.Elements(0, 1, 2, 7, 16).Zip(Gen.Choose(1, 3), Gen.Choose(1, 6)).Zip(Gen.Elements(1, 3, 8, 17), Samples.Seed)
            .Select(size => (size.Item1.Item1, size.Item1.Item2, size.Item1.Item3, size.Item2, size.Item3));

    [Fact]
    public void A_plan_sorts_slots_by_group_and_then_by_token() => Samples.ForAll(s_sizes, size =>
    {
        using var scope = Arena.Current.Scope();
        var (tokens, each, groups, _, seed) = size;
        var choices = Samples.Below(groups, tokens * each, seed);
        var plan = DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups);
        Assert.Equal(groups, plan.Groups);
        Assert.Equal(Sorted(choices).Select(i => i / each), plan.Tokens.Ints.ToArray());
        Assert.Equal(Enumerable.Range(0, groups + 1).Select(group => choices.Count(choice => choice < group)), plan.Offsets.Ints.ToArray());
        Assert.Equal(Sorted(choices), Inverse(plan.Slots.Ints.ToArray()));
        for (var group = 0; group < groups; group++)
            Assert.Equal(choices.Count(choice => choice == group) / (double)Math.Max(1, choices.Length), plan.Share(group), 6);
    });

    [Fact]
    public void A_plan_of_more_groups_than_tokens_leaves_most_empty()
    {
        using var scope = Arena.Current.Scope();
        var plan = DispatchPlan.From(Tensor.From([4999, 0, 17], [3, 1]), 5000);
        Assert.Equal([1, 2, 0], plan.Tokens.Ints.ToArray());
        Assert.Equal(3, plan.Offsets.Ints[5000]);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4)]
    public void A_choice_that_is_no_group_is_refused(int choice)
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => DispatchPlan.From(Tensor.From([0, choice], [2, 1]), 4));
        Assert.Equal($"dispatch plan: choice {choice} is not one of 4 groups", error.Message);
        Assert.Throws<ShapeException>(() => DispatchPlan.From(Tensor.From([0, 1], [2]), 4));
    }

    [Fact]
    public void Dispatch_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "dispatch");
        Samples.ForAll(s_sizes, size =>
        {
            var (tokens, each, groups, width, seed) = size;
            var choices = Samples.Below(groups, tokens * each, seed);
            errors.Add(OperationCheck.Run(
                x => Op.Dispatch(x[0], DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups)),
                x => [.. Sorted(choices).SelectMany(i => x[0].Skip(i / each * width).Take(width))],
                1e-6, OperationCheck.Random([tokens, width], seed)));
        });
    }

    [Fact]
    public void Combine_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "combine");
        Samples.ForAll(s_sizes, size =>
        {
            var (tokens, each, groups, width, seed) = size;
            var choices = Samples.Below(groups, tokens * each, seed);
            var slots = Inverse(Sorted(choices));
            errors.Add(OperationCheck.Run(
                x => Op.Combine(x[0], x[1], DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups)),
                x =>
                {
                    var y = new double[tokens * width];
                    for (var i = 0; i < slots.Length; i++)
                        for (var j = 0; j < width; j++) y[(i / each * width) + j] += x[1][i] * x[0][(slots[i] * width) + j];
                    return y;
                },
                2e-6, OperationCheck.Random([tokens * each, width], seed), OperationCheck.Random([tokens, each], seed + 1)));
        });
    }

    [Fact]
    public void Gradients_of_dispatch_and_combine_add_to_those_already_there()
    {
        int[] choices = [1, 0, 2, 1, 0, 2];
        OperationCheck.Run(
            x =>
            {
                var plan = DispatchPlan.From(Tensor.From(choices, [3, 2]), 3);
                var slots = Op.Dispatch(x[0], plan);
                return Op.Add(Op.Combine(slots, x[1], plan), Op.Combine(slots, x[1], plan));
            },
            x => [.. Enumerable.Range(0, 12).Select(i => 2 * x[0][i] * (x[1][i / 4 * 2] + x[1][(i / 4 * 2) + 1]))],
            2e-6, OperationCheck.Random([3, 4], 1), OperationCheck.Random([3, 2], 2));
    }

    [Fact]
    public void Padding_has_no_slots_and_counts_nowhere()
    {
        Samples.ForAll(s_sizes, size =>
        {
            var (tokens, each, groups, _, seed) = size;
            var choices = Samples.Below(groups, tokens * each, seed);
            using var scope = Arena.Current.Scope();
            var (segments, padding) = Padding(tokens, seed);
            var plan = DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups, padding);
            var real = Sorted(choices).Where(i => segments[i / each] >= 0).ToArray();
            Assert.Equal(real.Select(i => i / each), plan.Tokens.Ints.ToArray());
            Assert.Equal(Enumerable.Range(0, tokens * each).Select(i => Array.IndexOf(real, i)), plan.Slots.Ints.ToArray());
            long[] counts = [.. Enumerable.Range(0, groups)];
            plan.AddCounts(counts);
            Assert.Equal(Enumerable.Range(0, groups).Select(group => (long)group + real.Count(i => choices[i] == group)), counts);
        });
    }

    [Fact]
    public void Padding_is_given_nothing_by_combine_and_has_no_gradient() => Samples.ForAll(s_sizes, size =>
    {
        var (tokens, each, groups, width, seed) = size;
        var choices = Samples.Below(groups, tokens * each, seed);
        var (segments, _) = Padding(tokens, seed);
        var real = Sorted(choices).Where(i => segments[i / each] >= 0).ToArray();
        DispatchPlan Plan() =>
            DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups, TokenPadding.Between(Tensor.From(segments, [1, tokens])));
        OperationCheck.Run(
            x => Op.Dispatch(x[0], Plan()), x => [.. real.SelectMany(i => x[0].Skip(i / each * width).Take(width))],
            1e-6, OperationCheck.Random([tokens, width], seed));
        OperationCheck.Run(
            x => Op.Combine(x[0], x[1], Plan()),
            x =>
            {
                var y = new double[tokens * width];
                for (var slot = 0; slot < real.Length; slot++)
                    for (var j = 0; j < width; j++) y[(real[slot] / each * width) + j] += x[1][real[slot]] * x[0][(slot * width) + j];
                return y;
            },
            2e-6, OperationCheck.Random([real.Length, width], seed), OperationCheck.Random([tokens, each], seed + 1));
    });

    [Fact]
    public void BalanceLoss_is_the_mean_of_its_sequences_whatever_their_lengths_and_padding() => Samples.ForAll(s_sizes, size =>
    {
        var (tokens, each, groups, _, seed) = size;
        var choices = Samples.Below(groups, tokens * each, seed);
        var numbers = Samples.Below(4, tokens, seed + 1).Select(number => Math.Min(number, tokens) - 1).ToArray();
        OperationCheck.Run(
            x => Op.BalanceLoss(x[0], Tensor.From(choices, [tokens, each]), Tensor.From(numbers, [tokens])),
            x =>
            [
                numbers.Where(number => number >= 0).Distinct().Select(number =>
                {
                    int[] own = [.. Enumerable.Range(0, tokens).Where(token => numbers[token] == number)];
                    return Enumerable.Range(0, groups).Sum(group =>
                        groups * (own.Sum(token => choices.Skip(token * each).Take(each).Count(choice => choice == group)) / (double)(own.Length * each))
                        * own.Average(token => x[0][(token * groups) + group]));
                }).DefaultIfEmpty().Average(),
            ],
            2e-6, OperationCheck.Random([tokens, groups], seed));
    });

    [Fact]
    public void Counts_of_other_groups_and_padding_of_other_tokens_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var choices = Tensor.From([0, 1], [2, 1]);
        var plan = DispatchPlan.From(choices, 2);
        Assert.Equal("add counts: 3 counts do not fit 2 groups", Assert.Throws<ShapeException>(() => plan.AddCounts(new long[3])).Message);
        var error = Assert.Throws<ShapeException>(() => DispatchPlan.From(choices, 2, TokenPadding.After(Tensor.From([1], [1]), 3)));
        Assert.Equal("dispatch plan: padding of 3 tokens does not fit choices of 2", error.Message);
        var far = Assert.Throws<ShapeException>(() => Op.BalanceLoss(Tensor.Temporary([2, 2]), choices, Tensor.From([0, 2], [2])));
        Assert.Equal("balance loss: sequence 2 is not below the number of tokens, 2", far.Message);
    }

    [Fact]
    public void Tensors_that_do_not_fit_the_plan_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var plan = DispatchPlan.From(Tensor.From([0, 1], [2, 1]), 2);
        Assert.Throws<ShapeException>(() => Op.Dispatch(Tensor.Temporary([3, 4]), plan));
        Assert.Throws<ShapeException>(() => Op.Combine(Tensor.Temporary([3, 4]), Tensor.Temporary([2, 1]), plan));
        Assert.Throws<ShapeException>(() => Op.Combine(Tensor.Temporary([2, 4]), Tensor.Temporary([2, 2]), plan));
        Assert.Throws<ShapeException>(() => Op.BalanceLoss(Tensor.Temporary([2, 3]), plan));
    }

    [Fact]
    public void BalanceLoss_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "balance loss");
        Samples.ForAll(s_sizes, size =>
        {
            var (tokens, each, groups, _, seed) = size;
            var choices = Samples.Below(groups, tokens * each, seed);
            errors.Add(OperationCheck.Run(
                x => Op.BalanceLoss(x[0], DispatchPlan.From(Tensor.From(choices, [tokens, each]), groups)),
                x =>
                [
                    Enumerable.Range(0, groups).Sum(group =>
                        groups * (choices.Count(choice => choice == group) / (double)Math.Max(1, choices.Length))
                        * x[0].Where((_, i) => i % groups == group).DefaultIfEmpty().Average()),
                ],
                2e-6, OperationCheck.Random([tokens, groups], seed)));
        });
    }

    [Fact]
    public void A_balance_loss_of_even_use_is_one()
    {
        using var scope = Arena.Current.Scope();
        var even = Tensor.From([.. Enumerable.Repeat(0.25f, 16)], [4, 4]);
        var plan = DispatchPlan.From(Tensor.From([0, 1, 1, 2, 2, 3, 3, 0], [4, 2]), 4);
        Assert.Equal(1, Op.BalanceLoss(even, plan).Item(), 6);
    }

    /// <summary>The gates of mixture-of-head attention: routed gates are normalised and multiplied by how many are chosen,
    /// shared gates are a softmax times their number, and [a₁, a₂] = 2 softmax weigh the two kinds.</summary>
    [SharedFact("fixtures/parts/moh")]
    public void A_two_stage_gate_of_these_operations_agrees_with_MoH()
    {
        const int Tokens = 26, Width = 48, Shared = 2, Routed = 6, Top = 3;
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var expected = new ReferenceTensors(Fixture.Shared("fixtures/parts/moh/expected.safetensors")!);
        Tensor Input(string name) => Tensor.From(expected.Floats(name), new Shape(expected.Shape(name))).WithGradient();

        var x = Tensor.From(expected.Floats("x"), [Tokens, Width]);
        var probabilities = Op.Softmax(Op.Linear(x, Input("wg")));
        var choices = Op.TopIndices(probabilities, Top);
        var stages = Op.Softmax(Op.Linear(x, Input("wg_0")));
        var routed = Op.ScaleGroups(Op.Select(probabilities, choices, normalise: true, Top), stages, 1, first: 1, scale: 2);
        var shared = Op.ScaleGroups(Op.Softmax(Op.Linear(x, Input("wg_1"))), stages, 1, first: 0, scale: 2 * Shared);

        var (gates, mask) = (new float[Tokens * (Shared + Routed)], new int[Tokens * Routed]);
        for (var token = 0; token < Tokens; token++)
        {
            for (var i = 0; i < Shared; i++) gates[(token * (Shared + Routed)) + i] = shared.Floats[(token * Shared) + i];
            for (var i = 0; i < Top; i++)
            {
                var head = choices.Ints[(token * Top) + i];
                mask[(token * Routed) + head] = 1;
                gates[(token * (Shared + Routed)) + Shared + head] = routed.Floats[(token * Top) + i];
            }
        }

        Assert.Equal(expected.Ints("routed_mask"), mask);
        OperationCheck.Compare("gates", [.. expected.Floats("aside.gates").Select(value => (double)value)], gates, 2e-6);

        // MoH's share counts a token once a choice, so its loss is the number of choices times ours.
        var balance = Op.BalanceLoss(probabilities, DispatchPlan.From(choices, Routed));
        Assert.Equal(expected.Floats("balance_loss")[0], Top * balance.Item(), 1e-5);
    }

    /// <summary>Random segments, −1 for about a third of the tokens.</summary>
    private static (int[] Segments, TokenPadding Padding) Padding(int tokens, int seed)
    {
        int[] segments = [.. Samples.Below(3, tokens, seed + 1).Select(number => number - 1)];
        return (segments, TokenPadding.Between(Tensor.From(segments, [1, tokens])));
    }

    private static int[] Sorted(int[] choices) => [.. Enumerable.Range(0, choices.Length).OrderBy(i => choices[i])];

    private static int[] Inverse(int[] order) => [.. Enumerable.Range(0, order.Length).OrderBy(i => order[i])];
}
