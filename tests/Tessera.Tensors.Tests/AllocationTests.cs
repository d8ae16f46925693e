namespace Tessera.Tensors.Tests;

public class AllocationTests
{
    [Theory]
    [InlineData(16, 24)]
    [InlineData(20, 1104)]
    public void A_step_seen_before_allocates_nothing(int tokens, int width) => Samples.OnNewThread(() =>
    {
        var model = new Model(tokens, width);
        for (var i = 0; i < 5; i++) model.Step();
        var capacity = Arena.Current.Capacity;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 3; i++) model.Step();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated == 0, $"{allocated} bytes of garbage in three steps");
        Assert.Equal(capacity, Arena.Current.Capacity);
    });

    [Fact]
    public void A_step_gives_the_same_bits_whenever_it_is_done()
    {
        (float Loss, float[] Gradient) Once(int stepsBefore)
        {
            (float, float[]) result = default;
            Samples.OnNewThread(() =>
            {
                var model = new Model(33, 200);
                for (var i = 0; i < stepsBefore; i++) model.Step();
                result = (model.Step(), model.Table.Gradient.ToArray());
            });
            return result;
        }

        var (first, later) = (Once(0), Once(3));
        Assert.Equal(first.Loss, later.Loss);
        Assert.Equal(first.Gradient, later.Gradient);
    }

    /// <summary>Everything a model's step is made of.</summary>
    private sealed class Model
    {
        private const int Heads = 4, Experts = 6, Classes = 50;

        private readonly int _tokens, _width;
        private readonly Tensor _weight, _bias, _router, _tables, _ids, _segments, _shift, _classBias, _narrow;
        private readonly long[] _loads = new long[Experts];
        private readonly Func<Tensor, Tensor> _segment;

        public Model(int tokens, int width)
        {
            (_tokens, _width) = (tokens, width);
            (Table, _router) = (Parameter([Classes, width], 1), Parameter([Experts, width], 4));
            (_weight, _bias) = (Parameter([width], 2), Parameter([width], 3));
            (_classBias, _narrow) = (Parameter([Classes], 6), Parameter([width, Classes], 7));
            _tables = Tensor.Allocate([Classes, width / Heads / 2]);
            _tables.Floats.Fill(0.7f);
            _ids = Tensor.Allocate([1, tokens], ElementType.I32);
            Samples.Below(Classes, tokens, 1).CopyTo(_ids.Ints);
            _segments = Tensor.Allocate([1, tokens], ElementType.I32);
            for (var token = 0; token < tokens; token++) _segments.Ints[token] = token % 7 == 6 ? -1 : token / 7;
            _shift = Parameter([Experts], 5);
            _segment = x => Op.LayerNorm(Op.Activate(x, Activation.Gelu), _weight, _bias, 1e-5f);
        }

        public Tensor Table { get; }

        public float Step()
        {
            Table.ClearGradient();
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Op.Dropout(Op.Embedding(_ids, Table), 0.1f, new CounterRandom(1)).Reshape([1, _tokens, Heads, _width / Heads]);
            x = Op.Rotate(x, _ids, _tables, _tables, RotaryLayout.Halves).Reshape([_tokens, _width]);
            x = Op.Add(x, Op.Checkpoint(Op.RmsNorm(x, _weight, 1e-5f), _segment));
            var map = new LinearMap(Table, _classBias);
            x = Op.Add(x, Op.FeedForward(x, map, map, new LinearMap(_narrow), Activation.Silu));
            var probabilities = Op.Softmax(Op.Linear(x, _router));
            var choices = Op.TopIndices(Op.LimitGroups(Op.AddRow(probabilities, _shift), groups: 3, active: 2, best: 2), 2);
            var plan = DispatchPlan.From(choices, Experts, TokenPadding.Between(_segments));
            plan.AddCounts(_loads);
            var segments = SegmentPlan.Of(_segments);
            x = Op.Add(x, segments.Place(segments.Take(x.Reshape([1, _tokens, _width]))).Reshape([_tokens, _width]));
            var slots = Op.Dispatch(x, plan);
            var gates = Op.ScaleGroups(Op.Select(probabilities, choices, normalise: true), probabilities, 2, scale: 2);
            x = Op.Add(x, Op.Combine(Op.Gate(slots, slots, Activation.Silu), gates, plan));
            var loss = Op.Add(
                Op.Add(Op.LinearCrossEntropy(x, Table, _ids, bias: _classBias, softCap: 20), Op.CrossEntropy(Op.Linear(x, Table), _ids.Reshape([_tokens]))),
                Op.Scale(Op.BalanceLoss(Op.NormalizeRows(probabilities), plan), 0.01f));
            tape.Backward(loss);
            return loss.Item();
        }

        private static Tensor Parameter(Shape shape, int seed)
        {
            var parameter = Tensor.AllocateParameter(shape);
            OperationCheck.Random(shape, seed, 0.1).Values.CopyTo(parameter.Floats);
            return parameter;
        }
    }
}
