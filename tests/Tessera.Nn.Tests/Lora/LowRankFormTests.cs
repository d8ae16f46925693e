using FsCheck;
using FsCheck.Fluent;
using Tessera.Nn.Lora;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Tests.Lora;

/// <summary>Each way to use an adapted weight, against the sum of W and s · B A in double precision.</summary>
public sealed class LowRankFormTests
{
    private const double Scale = 1.5, Tolerance = 5e-6;

    [Fact]
    public void A_map_of_an_adapted_weight_is_that_of_the_merged_one_on_random_shapes()
    {
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20), Prop.ForAll(Sizes(), size =>
        {
            var (outputs, inputs, rank, rows) = size;
            var part = new Adapted(new Shape(outputs, inputs), rank);
            PartCheck.Run(
                part, x => part.Weight.Apply(Activations.Of(x["x"]), null, PartCheck.Step(rows, 1)),
                exact => ExactMath.Linear(exact["x"], part.Merged(exact), null, inputs), Tolerance, null, ("x", [rows, inputs]));
        }));
    }

    [Fact]
    public void Experts_of_an_adapted_weight_are_those_of_the_merged_one_on_random_shapes()
    {
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20), Prop.ForAll(Sizes(), size =>
        {
            // The second group has no rows, and the last row is in no group.
            var (outputs, inputs, rank, rows) = size;
            int[] offsets = [0, rows, rows, 2 * rows];
            var part = new Adapted(new Shape(3, outputs, inputs), rank);
            PartCheck.Run(
                part, x => part.Weight.ApplyGrouped(Activations.Of(x["x"]), PartCheck.Ints([4], offsets), PartCheck.Step(1, 1)),
                exact =>
                {
                    var (weight, x) = (part.Merged(exact), exact["x"]);
                    var each = outputs * inputs;
                    return
                    [
                        .. ExactMath.Linear(x[..(rows * inputs)], weight[..each], null, inputs),
                        .. ExactMath.Linear(x[(rows * inputs)..(2 * rows * inputs)], weight[(2 * each)..], null, inputs),
                        .. new double[outputs],
                    ];
                },
                Tolerance, null, ("x", [(2 * rows) + 1, inputs]));
        }));
    }

    [Fact]
    public void Rows_of_an_adapted_weight_are_those_of_the_merged_one_on_random_shapes()
    {
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20), Prop.ForAll(Sizes(), size =>
        {
            var (outputs, inputs, rank, count) = size;
            int[] ids = [.. Enumerable.Range(0, count).Select(i => i * i % outputs)];
            var part = new Adapted(new Shape(outputs, inputs), rank);
            PartCheck.Run(
                part, _ => part.Weight.Rows(PartCheck.Ints([1, count], ids), 3),
                exact => [.. ids.SelectMany(id => part.Merged(exact)[(id * inputs)..((id + 1) * inputs)].Select(value => 3 * value))],
                Tolerance, null);
        }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_matrix_for_each_head_of_an_adapted_weight_is_that_of_the_merged_one(bool transposed)
    {
        const int Heads = 3, Rows = 5, First = 1, Count = 2, Inputs = 7, Tokens = 4;
        using var scope = Arena.Current.Scope();
        var part = new Adapted(new Shape(Heads * Rows, Inputs), rank: 2);
        var (width, outputs) = transposed ? (Inputs, Count) : (Count, Inputs);
        var (x, merged) = (PartCheck.Normal(Tokens * Heads * width, 3), part.Merged(PartCheck.Exact(part)));
        var expected = new double[Tokens * Heads * outputs];
        for (var i = 0; i < expected.Length; i++)
        {
            var (row, output) = (i / outputs, i % outputs);
            for (var k = 0; k < width; k++)
            {
                var (down, across) = transposed ? (output, k) : (k, output);
                expected[i] += x[(row * width) + k] * merged[((((row % Heads * Rows) + First + down) * Inputs) + across)];
            }
        }

        var found = part.Weight.ApplyPerHead(Tensor.From(x, [Tokens, Heads, width]), First, Count, transposed).ToArray();
        PartCheck.Compare("value", expected, [.. found.Select(value => (double)value)], Tolerance);
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.Q8_0)]
    public void A_stored_weight_of_any_kind_takes_an_adapter(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        foreach (var shape in (Shape[])[[8, 32], [2, 8, 32]])
        {
            var plain = new Adapted(shape, rank: 2);
            var stored = new Adapted(shape, rank: 2);
            var parameter = stored.Weight.Form.Parameters.Single().Parameter;
            var tensor = Op.Convert(parameter.Value, type).Keep();
            parameter.ReadFrom(() => tensor, type, isFixed: true);
            Op.Convert(tensor, plain.Weight.Form.Parameters.Single().Parameter.Value);

            // What the adapter adds is the same, whatever the weight is stored as.
            var (x, offsets) = (Tensor.From(PartCheck.Normal(3 * 32, 3), [3, 32]), PartCheck.Ints([3], 0, 2, 3));
            PartCheck.Compare($"{shape}", Added(plain), Added(stored), 2e-6);

            float[] Added(Adapted part)
            {
                var (whole, alone) = (Use(part.Weight.Form), Use(((LowRankForm)part.Weight.Form).Base));
                return [.. whole.Zip(alone, (with, without) => with - without)];
            }

            float[] Use(WeightForm form) => (shape.Rank == 3
                ? form.ApplyGrouped(Activations.Of(x), offsets, PartCheck.Step(1, 3))
                : form.Apply(Activations.Of(x), null, PartCheck.Step(1, 3))).ToArray();
        }
    }

    [Fact]
    public void Merged_experts_and_tables_give_what_they_gave_adapted()
    {
        using var scope = Arena.Current.Scope();
        foreach (var shape in (Shape[])[[5, 7], [3, 5, 7]])
        {
            var part = new Adapted(shape, rank: 2);
            var expected = part.Merged(PartCheck.Exact(part));
            part.Adapters.Merge();
            PartCheck.Compare($"{shape}", expected, [.. part.Weight.AsTensor!.ToArray().Select(value => (double)value)], 1e-6);
            part.Adapters.Merge();
            PartCheck.Compare($"{shape}, again", expected, [.. part.Weight.AsTensor!.ToArray().Select(value => (double)value)], 1e-6);
        }
    }

    [Fact]
    public void Dropout_of_an_experts_adapter_leaves_the_experts_themselves_alone()
    {
        using var scope = Arena.Current.Scope();
        var part = new Adapted(new Shape(2, 5, 6), rank: 2, dropout: 0.5f);
        var x = Tensor.From(PartCheck.Normal(4 * 6, 3), [4, 6]);
        var training = PartCheck.Step(4, 1);
        (training.IsTraining, training.Random) = (true, new CounterRandom(9));
        float[] Use(ForwardContext context) => part.Weight.ApplyGrouped(Activations.Of(x), PartCheck.Ints([3], 0, 2, 4), context).ToArray();
        Assert.NotEqual(Use(PartCheck.Step(4, 1)), Use(training));
        ((LowRankForm)part.Weight.Form).Adapter.Up.Value.Floats.Clear();
        Assert.Equal(Use(PartCheck.Step(4, 1)), Use(training));
    }

    [Fact]
    public void A_weight_takes_one_adapter_and_one_that_fits()
    {
        var part = new Adapted(new Shape(5, 6), rank: 2);
        var again = new LoraAdapter(PartCheck.Builder(6), [5, 6], 2, 1);
        Assert.Equal(
            "'map' has an adapter already",
            Assert.Throws<ArgumentException>(() => part.Adapters.Add("map.weight", part.Weight, again)).Message);
        var bare = new Weight(PartCheck.Builder(6).Matrix("weight", 5, 6));
        var turned = new LoraAdapter(PartCheck.Builder(6), [6, 5], 2, 1);
        Assert.Equal(
            "an adapter of [6, 5] does not fit a weight of [5, 6]",
            Assert.Throws<ArgumentException>(() => part.Adapters.Add("other.weight", bare, turned)).Message);
        Assert.IsType<StoredForm>(bare.Form);
    }

    private static Arbitrary<(int Outputs, int Inputs, int Rank, int Rows)> Sizes() =>
        Gen.Choose(1, 9).Four().Select(s => (s.Item1, s.Item2, 1 + (s.Item3 % 4), s.Item4)).ToArbitrary();

    /// <summary>A weight of its own with an adapter whose B is not 0.</summary>
    private sealed class Adapted : Module
    {
        private readonly Shape _shape;
        private readonly int _rank;

        public Adapted(Shape shape, int rank, float dropout = 0)
        {
            (_shape, _rank) = (shape, rank);
            Weight = Own("map.weight", new Weight(PartCheck.Builder(1).Normal("weight", shape, 0.5)));
            Adapters = Own("adapters", LoraAdapters.Attach(
                this, new LoraOptions { Rank = rank, Alpha = Scale * rank, Targets = ["map"], Dropout = dropout }, new CounterRandom(4)));
            var up = Adapters.All.Single().Adapter.Up.Value.Floats;
            PartCheck.Normal(up.Length, 8).CopyTo(up);
        }

        public Weight Weight { get; }

        public LoraAdapters Adapters { get; }

        /// <summary>W + s · B A in double precision.</summary>
        public double[] Merged(Dictionary<string, double[]> exact)
        {
            var (down, up) = (exact["adapters.map.lora_A.weight"], exact["adapters.map.lora_B.weight"]);
            var merged = exact["map.weight"].ToArray();
            var (inputs, outputs) = (_shape[^1], _shape[^2]);
            for (var i = 0; i < merged.Length; i++)
            {
                var (row, column) = (i / inputs, i % inputs);
                var first = row / outputs * _rank; // of its group's A
                for (var k = 0; k < _rank; k++) merged[i] += Scale * up[(row * _rank) + k] * down[((first + k) * inputs) + column];
            }

            return merged;
        }
    }
}
