using Tessera.Nn.Mixers;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Tests.Weights;

public sealed class WeightTests
{
    private const int Width = 8, Length = 5;

    [Fact]
    public void Weights_are_listed_by_the_way_to_them_and_know_their_sizes()
    {
        var part = Stack(new ExpertsOptions(3, 2, new ReluOptions(6), Shared: 1));
        Assert.Equal(
            [
                "layers.0.attention.kv_b_proj.weight [10, 4]", "layers.0.attention.q_proj.weight [10, 8]",
                "layers.0.attention.kv_a_proj_with_mqa.weight [6, 8]", "layers.0.attention.o_proj.weight [8, 4]",
                "layers.0.feed_forward.experts.up_proj [3, 6, 8]", "layers.0.feed_forward.experts.down_proj [3, 8, 6]",
                "layers.0.feed_forward.router.gate.weight [3, 8]", "layers.0.feed_forward.shared_experts.up_proj.weight [6, 8]",
                "layers.0.feed_forward.shared_experts.down_proj.weight [8, 6]",
            ],
            part.Weights().Where(own => own.Name.StartsWith("layers.0.", StringComparison.Ordinal))
                .Select(own => $"{own.Name} {own.Weight.Shape}"));
        var experts = part.Weights().Single(own => own.Name == "layers.1.feed_forward.experts.down_proj").Weight;
        Assert.Equal((3, 8, 6), (experts.Groups, experts.Outputs, experts.Inputs));
        Assert.Equal((3 * 8 * 6 * sizeof(float), "F32"), (experts.Bytes, experts.Form.Description));
    }

    [Theory]
    [InlineData("*.q_proj", 2)]
    [InlineData("*.q_proj.weight", 2)]
    [InlineData("layers.?.attention.o_proj", 2)]
    [InlineData("layers.1.*", 7)]
    [InlineData("*", 14)]
    public void Forms_are_exchanged_by_pattern_and_all_others_stay(string pattern, int count)
    {
        using var scope = Arena.Current.Scope();
        var part = Stack(new SwiGluOptions(6));
        var before = part.Weights().ToDictionary(own => own.Name, own => own.Weight.Form);
        var (y, names) = (Forward(part), part.Parameters().Select(own => own.Name).ToList());
        var asked = new List<string>();
        Assert.Equal(count, part.ReplaceWeights(pattern, (name, form) =>
        {
            Assert.Same(before[name], form);
            asked.Add(name);
            return new RowScaledForm(form.AsTensor!, 2);
        }));
        Assert.Equal(count, asked.Count);
        foreach (var (name, weight) in part.Weights()) Assert.Equal(asked.Contains(name), weight.Form != before[name]);
        PartCheck.Compare("the same numbers in another form", y, Forward(part), 1e-6);

        // Its parameters stand where the weight's own was.
        Assert.Equal(
            names.SelectMany(name => asked.Contains(name) ? [$"{name}.codes", $"{name}.scales"] : new[] { name }),
            part.Parameters().Select(own => own.Name));
    }

    [Fact]
    public void A_form_of_several_parameters_learns_with_them()
    {
        var linear = new Linear(PartCheck.Builder(4), 4, 3, bias: true);
        var part = PartCheck.Shaken(linear);
        part.ReplaceWeights("weight", (_, form) => new RowScaledForm(form.AsTensor!, 0.5f));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(2, 1)),
            exact => ExactMath.Linear(
                exact["x"], [.. exact["weight.codes"].Select((code, i) => code * exact["weight.scales"][i / 4])], exact["bias"], 4),
            5e-6, null, ("x", [2, 4]));
        Assert.Equal(12 + 3 + 3, part.ParameterCount());
        Assert.Equal(2 * 12, part.FlopsPerToken(1)); // of the matrix that it stands for
    }

    [Fact]
    public void A_pattern_that_fits_nothing_and_a_form_that_does_not_fit_change_nothing()
    {
        var part = Stack(new ReluOptions(6));
        var before = part.Weights().Select(own => own.Weight.Form).ToList();
        Assert.Equal(
            "'*.query' fits no weight; allowed, for example: *.kv_b_proj, *.q_proj, *.kv_a_proj_with_mqa, *.o_proj, *.up_proj, *.down_proj",
            Assert.Throws<ArgumentException>(() => part.ReplaceWeights("*.query", (_, form) => form)).Message);
        var (calls, small) = (0, new StoredForm(PartCheck.Builder(2).Matrix("weight", 2, 2)));
        Assert.Equal(
            "a weight of [10, 8] cannot take the form F32 of [2, 2]",
            Assert.Throws<ArgumentException>(() => part.ReplaceWeights(
                "*.q_proj", (_, form) => calls++ == 0 ? new RowScaledForm(form.AsTensor!, 2) : small)).Message);
        Assert.Equal(before, part.Weights().Select(own => own.Weight.Form));
    }

    [Fact]
    public void Weights_of_one_form_go_on_sharing_unless_one_is_named_alone()
    {
        var part = new Tied();
        var asked = new List<string>();
        WeightForm Copy(string name, WeightForm form)
        {
            asked.Add(name);
            return new StoredForm(new Parameter(form.AsTensor!.Keep(), decays: true));
        }

        Assert.Equal(["head", "table.weight"], part.Weights().Select(own => own.Name));
        Assert.Equal(2, part.ReplaceWeights("*", Copy));
        Assert.Equal(["table.weight"], asked);
        Assert.Same(part.Head.Form, part.Table.Weight.Form);
        Assert.Equal(["table.weight"], part.Parameters().Select(own => own.Name));
        Assert.Equal(1, part.ReplaceWeights("head", Copy));
        Assert.NotSame(part.Head.Form, part.Table.Weight.Form);
        Assert.Equal(["head", "table.weight"], part.Parameters().Select(own => own.Name));
    }

    private static Transformer Stack(FeedForwardOptions feedForward)
    {
        var options = new TransformerOptions { Layers = 2, Attention = new LatentOptions(2, 4, 3, 2, 2), FeedForward = feedForward };
        return new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal);
    }

    private static float[] Forward(Transformer part)
    {
        var x = Tensor.From(PartCheck.Normal(2 * Length * Width, 3), [2, Length, Width]);
        return part.Forward(x, PartCheck.Step(2, Length)).ToArray();
    }

    private sealed class Tied : Module
    {
        public Tied()
        {
            Table = Own("table", new Embedding(PartCheck.Builder(4), 10, 4));
            Head = Own("head", new Weight(Table.Weight.Form));
        }

        public Embedding Table { get; }

        public Weight Head { get; }
    }

    /// <summary>A form with two parameters, as codes with scales have: W = diag(s) C.</summary>
    private sealed class RowScaledForm : WeightForm
    {
        private readonly Parameter _codes, _scales;

        public RowScaledForm(Tensor weight, float scale)
        {
            var (codes, scales) = (weight.Keep(), Tensor.Allocate([weight.Shape[0]]));
            for (var i = 0; i < codes.Floats.Length; i++) codes.Floats[i] /= scale;
            scales.Floats.Fill(scale);
            (_codes, _scales) = (new Parameter(codes.WithGradient(), decays: true), new Parameter(scales.WithGradient(), decays: false));
        }

        public override Shape Shape => _codes.Shape;

        public override long Bytes => sizeof(float) * (_codes.Shape.Count + _scales.Shape.Count);

        public override string Description => "scaled rows";

        public override IReadOnlyList<(string Name, Parameter Parameter)> Parameters => [("codes", _codes), ("scales", _scales)];

        public override Tensor Apply(Activations x, Tensor? bias, ForwardContext context)
        {
            // Scales come as the gates of groups of one.
            var y = Op.Linear(x, _codes.Value);
            var rows = Tensor.Temporary([y.Shape.Rows], ElementType.I32);
            rows.Ints.Clear();
            var scales = Op.Embedding(rows, _scales.Value.Reshape([1, Shape[0]]));
            var scaled = Op.ScaleGroups(y.Reshape([y.Shape.Rows, Shape[0]]), scales, Shape[0]).Reshape(y.Shape);
            return bias is null ? scaled : Op.Add(scaled, Op.Embedding(rows, bias.Reshape([1, Shape[0]])).Reshape(y.Shape));
        }

        public override Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context) =>
            throw new ShapeException("scaled rows have no groups");

        public override Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed) =>
            throw new ShapeException("scaled rows have no heads");

        public override Tensor Rows(Tensor ids, float scale) => throw new ShapeException("scaled rows are not looked up");
    }
}
