using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class ExpertsFeedForwardTests
{
    private const int Batch = 2;
    private const int Length = 4;
    private const int Width = 6;
    private const int Hidden = 5;

    public static TheoryData<string, int, bool> Mixtures => new()
        {
            { "swiglu", 0, false },
            { "relu", 0, false },
            { "swiglu", 2, false },
            { "relu", 1, false },
            { "swiglu", 2, true },
            { "relu", 3, true },
        };

    [Theory]
    [MemberData(nameof(Mixtures))]
    public void A_mixture_is_a_loop_over_tokens_and_their_experts(string kind, int shared, bool twoStage)
    {
        var options = Options(kind, shared, twoStage ? new TwoStageRouterOptions() : new SoftmaxRouterOptions());
        var part = (ExpertsFeedForward)options.Build(PartCheck.Builder(Width));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(Batch, Length)), exact => Equation(exact, options),
            5e-6, null, ("x", [Batch, Length, Width]));
    }

    [Theory]
    [InlineData("swiglu", 0)]
    [InlineData("relu", 2)]
    public void A_mixture_with_adapters_is_the_one_whose_experts_have_them_merged(string kind, int shared)
    {
        const int Rank = 2;
        var options = Options(kind, shared, new SoftmaxRouterOptions());
        var part = (ExpertsFeedForward)options.Build(PartCheck.Builder(Width));
        var adapters = LoraAdapters.Attach(part, new LoraOptions { Rank = Rank, Alpha = 3, Targets = ["experts.*"] }, new CounterRandom(4));
        Assert.Equal(kind == "relu" ? 2 : 3, adapters.All.Count);
        foreach (var (name, _, adapter) in adapters.All)
            PartCheck.Normal(adapter.Up.Value.Floats.Length, (ulong)name.Length, 0.4).CopyTo(adapter.Up.Value.Floats);
        PartCheck.Run(
            new Pair(part, adapters), inputs => part.Forward(inputs["x"], PartCheck.Step(Batch, Length)),
            exact => Equation(Merged(exact), options), 5e-6, null, ("x", [Batch, Length, Width]));

        Dictionary<string, double[]> Merged(Dictionary<string, double[]> exact)
        {
            var whole = exact.Where(own => !own.Key.StartsWith("adapters.", StringComparison.Ordinal))
                .ToDictionary(own => own.Key.Replace("part.", "", StringComparison.Ordinal), own => own.Value.ToArray());
            foreach (var (name, weight, _) in adapters.All)
            {
                var (down, up) = (exact[$"adapters.{name}.lora_A.weight"], exact[$"adapters.{name}.lora_B.weight"]);
                for (var i = 0; i < whole[name].Length; i++)
                {
                    var (row, column) = (i / weight.Inputs, i % weight.Inputs);
                    var first = row / weight.Outputs * Rank; // of its expert's A
                    for (var k = 0; k < Rank; k++)
                        whole[name][i] += 1.5 * up[(row * Rank) + k] * down[((first + k) * weight.Inputs) + column];
                }
            }

            return whole;
        }
    }

    [Fact]
    public void Gates_that_are_not_normalised_stay_probabilities()
    {
        var options = Options("swiglu", 1, new SoftmaxRouterOptions(Normalise: false));
        var part = options.Build(PartCheck.Builder(Width));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(Batch, Length)), exact => Equation(exact, options),
            5e-6, null, ("x", [Batch, Length, Width]));
    }

    [Fact]
    public void The_balance_loss_and_the_use_of_experts_are_reported()
    {
        using var scope = Arena.Current.Scope();
        var options = Options("relu", 0, new SoftmaxRouterOptions());
        var part = (ExpertsFeedForward)options.Build(PartCheck.Builder(Width));
        var x = PartCheck.Normal(Batch * Length * Width, 8);
        var use = new ExpertUse();
        var step = new ForwardContext { Positions = PartCheck.Positions(Batch, Length), IsTraining = true, ExpertUse = use };
        part.Forward(Tensor.From(x, [Batch, Length, Width]), step);

        var scores = ExactMath.Linear([.. x.Select(value => (double)value)], PartCheck.Exact(part)["router.gate.weight"], null, Width);
        var (counts, means) = (new long[options.Routed], new double[options.Routed]);
        for (var token = 0; token < Batch * Length; token++)
        {
            var probabilities = ExactMath.Softmax(scores[(token * options.Routed)..((token + 1) * options.Routed)]);
            for (var i = 0; i < options.Routed; i++) means[i] += probabilities[i] / (Batch * Length);
            foreach (var i in Largest(probabilities, options.Active)) counts[i]++;
        }

        Assert.Equal(["balance", "sequence-balance"], step.Losses.Select(part => part.Name));
        var loss = step.Losses[0].Loss;
        var expected =
            options.Routed * Enumerable.Range(0, options.Routed).Sum(i => means[i] * counts[i] / (Batch * Length * options.Active));
        Assert.Equal(expected, loss.Item(), 1e-5);
        Assert.Equal(counts, use.Of(part));
        Assert.Equal(("", Batch * Length * options.Active), use.In(part).Select(layer => (layer.Layer, (int)layer.Counts.Sum())).Single());

        var judging = new ForwardContext { Positions = PartCheck.Positions(Batch, Length), ExpertUse = use };
        part.Forward(Tensor.From(x, [Batch, Length, Width]), judging);
        Assert.Empty(judging.Losses);
        Assert.Equal(counts.Select(count => 2 * count), use.Of(part));
        Assert.Empty(new ExpertUse().Of(part));
    }

    [Fact]
    public void The_balance_loss_trains_the_router_alone()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var part = Options("relu", 0, new SoftmaxRouterOptions()).Build(PartCheck.Builder(Width));
        var step = new ForwardContext { Positions = PartCheck.Positions(Batch, Length), IsTraining = true };
        part.Forward(Tensor.From(PartCheck.Normal(Batch * Length * Width, 8), [Batch, Length, Width]), step);
        tape.Backward(Op.Add(step.Losses[0].Loss, step.Losses[1].Loss));
        foreach (var (name, parameter) in part.Parameters())
            Assert.Equal(name == "router.gate.weight", parameter.Value.Gradient.ToArray().Any(value => value != 0));
    }

    [Fact]
    public void The_balance_of_sequences_is_the_mean_of_each_ones_own()
    {
        using var scope = Arena.Current.Scope();
        var options = Options("relu", 0, new SigmoidRouterOptions { Bias = false });
        var part = options.Build(PartCheck.Builder(Width));
        var x = PartCheck.Normal(Batch * Length * Width, 8);
        var step = new ForwardContext { Positions = PartCheck.Positions(Batch, Length), IsTraining = true };
        part.Forward(Tensor.From(x, [Batch, Length, Width]), step);

        // DeepSeek-V3's equations 17 to 20, for each sequence.
        var logits = ExactMath.Linear([.. x.Select(value => (double)value)], PartCheck.Exact(part)["router.gate.weight"], null, Width);
        var scores = logits.Select(logit => 1 / (1 + Math.Exp(-logit))).Chunk(options.Routed).ToArray();
        var expected = scores.Chunk(Length).Average(sequence => Enumerable.Range(0, options.Routed).Sum(i =>
            options.Routed / (double)(options.Active * Length) * sequence.Count(token => Largest(token, options.Active).Contains(i))
            * sequence.Average(token => token[i] / token.Sum())));
        Assert.Equal(expected, step.Losses.Single(loss => loss.Name == "sequence-balance").Loss.Item(), 1e-5);
    }

    public static TheoryData<RouterOptions> Routers => [new SoftmaxRouterOptions(), new SigmoidRouterOptions(), new TwoStageRouterOptions()];

    /// <summary>Sequences of three and four tokens, in rows of their own or packed in one, with much padding or little.</summary>
    [Theory]
    [MemberData(nameof(Routers))]
    public void Padding_is_routed_nowhere_and_each_packed_sequence_is_balanced_on_its_own(RouterOptions router)
    {
        using var scope = Arena.Current.Scope();
        var options = Options("relu", router.MinShared, router);
        var part = (ExpertsFeedForward)options.Build(PartCheck.Builder(Width));
        float[] first = PartCheck.Normal(3 * Width, 8), second = PartCheck.Normal(4 * Width, 9);
        float[] Rest(int tokens, float value) => [.. Enumerable.Repeat(value, tokens * Width)];

        var alone = new[] { Run([.. first], 1, 3, null, null), Run([.. second], 1, 4, null, null) };
        float[] outputs = [.. alone[0].Output, .. alone[1].Output];
        long[] counts = [.. alone[0].Counts.Zip(alone[1].Counts, (one, other) => one + other)];
        var ofSequences = alone.Average(one => one.OfSequences);

        var packed = Run([.. first, .. second, .. Rest(3, 7)], 1, 10, PartCheck.Ints([1, 10], 0, 0, 0, 1, 1, 1, 1, -1, -1, -1), null);
        var rows = Run([.. first, .. Rest(2, -5), .. second, .. Rest(1, 9)], 2, 5, null, PartCheck.Ints([2], 3, 4));
        AssertClose(outputs, packed.Output[..(7 * Width)]);
        AssertClose(outputs, [.. rows.Output[..(3 * Width)], .. rows.Output[(5 * Width)..(9 * Width)]]);
        foreach (var one in new[] { packed, rows })
        {
            Assert.Equal(counts, one.Counts);
            Assert.Equal(7 * options.Active, one.Counts.Sum());
            Assert.Equal(ofSequences, one.OfSequences, 1e-5);
            Assert.Equal(Run([.. first, .. second], 1, 7, null, null).Overall, one.Overall, 1e-5);
        }

        static void AssertClose(float[] expected, float[] actual)
        {
            Assert.Equal(expected.Length, actual.Length);
            for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-5);
        }

        (float[] Output, IReadOnlyList<long> Counts, float Overall, float OfSequences) Run(
            float[] x, int batch, int length, Tensor? segments, Tensor? lengths)
        {
            var use = new ExpertUse();
            var step = new ForwardContext
            {
                Positions = PartCheck.Positions(batch, length), IsTraining = true, ExpertUse = use, Segments = segments, Lengths = lengths,
            };
            var y = part.Forward(Tensor.From(x, [batch, length, Width]), step);
            return (y.ToArray(), use.Of(part), step.Losses[0].Loss.Item(), step.Losses[1].Loss.Item());
        }
    }

    [Fact]
    public void Shared_experts_may_have_a_width_of_their_own()
    {
        var part = new ExpertsOptions(4, 2, new SwiGluOptions(Hidden), Shared: 2) { SharedHidden = 7 }.Build(PartCheck.Builder(Width));
        var shapes = part.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.Shape);
        Assert.Equal(new Shape(2 * 7, Width), shapes["shared_experts.up_proj.weight"]);
        Assert.Equal(new Shape(Width, 2 * 7), shapes["shared_experts.down_proj.weight"]);
        Assert.Equal(new Shape(4, Hidden, Width), shapes["experts.up_proj"]);
    }

    [Fact]
    public void Experts_with_biases_are_refused()
    {
        var options = new ExpertsOptions(4, 2, new SwiGluOptions(Hidden) { Bias = true });
        var error = Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width)));
        Assert.Equal("model.expert.bias: is true; allowed: false: experts have no biases", error.Message);
    }

    [Fact]
    public void Active_weights_are_those_of_the_experts_that_a_token_visits()
    {
        var part = new ExpertsOptions(8, 2, new SwiGluOptions(10), Shared: 1) { Router = new TwoStageRouterOptions() }.Build(
            PartCheck.Builder(16));
        const int Expert = 3 * 10 * 16, Router = (2 + 1 + 8) * 16;
        Assert.Equal((9 * Expert) + Router, part.ParameterCount());
        Assert.Equal((3 * Expert) + Router, part.ActiveParameterCount());
        Assert.Equal(2 * ((3 * Expert) + Router), part.FlopsPerToken(100));
    }

    [Theory]
    [InlineData(0, 1, 0, 4, "model.routed: is 0; allowed: 1 to 65536")]
    [InlineData(4, 5, 0, 4, "model.active: is 5; allowed: 1 to routed, 4")]
    [InlineData(4, 0, 0, 4, "model.active: is 0; allowed: 1 to routed, 4")]
    [InlineData(4, 2, -1, 4, "model.shared: is -1; allowed: 0 to 1024")]
    [InlineData(4, 2, 0, 0, "model.expert.hidden: is 0; allowed: 1 to 1048576")]
    [InlineData(65536, 2, 0, 1048576, "model.experts.up_proj: would be [65536, 1048576, 6]; allowed: at most 2147483647 weights")]
    public void Sizes_that_cannot_be_are_named(int routed, int active, int shared, int hidden, string message)
    {
        var options = new ExpertsOptions(routed, active, new ReluOptions(hidden), shared);
        Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width))).Message);
    }

    private sealed class Pair : Module
    {
        public Pair(Module part, Module adapters) => (_, _) = (Own("part", part), Own("adapters", adapters));
    }

    private static ExpertsOptions Options(string kind, int shared, RouterOptions router) =>
        new(5, 2, kind == "relu" ? new ReluOptions(Hidden) : new SwiGluOptions(Hidden), shared) { Router = router };

    private static int[] Largest(double[] values, int count) =>
        [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Take(count)];

    private static double[] Equation(Dictionary<string, double[]> exact, ExpertsOptions options)
    {
        var (x, y) = (exact["x"], new double[exact["x"].Length]);
        for (var token = 0; token < x.Length; token += Width)
        {
            var vector = x[token..(token + Width)];
            var (shared, routed) = Gates(exact, options, vector);
            for (var s = 0; s < options.SharedCount; s++) AddExpert(s, shared[s], "shared_experts.", ".weight", options.SharedCount);
            foreach (var r in Largest(routed, options.Active)) AddExpert(r, routed[r], "experts.", "", 0);

            // Expert e's hidden units are rows e · Hidden … of gate and up. Of down they are columns where experts lie side by
            // side in one matrix, and a matrix of their own otherwise.
            void AddExpert(int e, double gate, string prefix, string suffix, int together)
            {
                var (up, down) = (exact[$"{prefix}up_proj{suffix}"], exact[$"{prefix}down_proj{suffix}"]);
                var gating = exact.GetValueOrDefault($"{prefix}gate_proj{suffix}");
                for (var h = 0; h < Hidden; h++)
                {
                    var row = ((e * Hidden) + h) * Width;
                    var hidden = Enumerable.Range(0, Width).Sum(i => up[row + i] * vector[i]);
                    hidden = gating is null
                        ? ExactMath.Relu(hidden)
                        : hidden * ExactMath.Silu(Enumerable.Range(0, Width).Sum(i => gating[row + i] * vector[i]));
                    for (var i = 0; i < Width; i++)
                        y[token + i] +=
                            gate
                            * hidden
                            * down[together > 0 ? (i * together * Hidden) + (e * Hidden) + h : (((e * Width) + i) * Hidden) + h];
                }
            }
        }

        return y;
    }

    /// <summary>What each expert counts, were it chosen.</summary>
    private static (double[] Shared, double[] Routed) Gates(Dictionary<string, double[]> exact, ExpertsOptions options, double[] vector)
    {
        if (options.Router is SoftmaxRouterOptions softmax)
        {
            var probabilities = Softmax("gate");
            var total = softmax.Normalise ? Largest(probabilities, options.Active).Sum(i => probabilities[i]) : 1;
            return ([.. Enumerable.Repeat(1.0, options.SharedCount)], [.. probabilities.Select(probability => probability / total)]);
        }

        var (stage, shared, routed) = (Softmax("stage"), Softmax("shared"), Softmax("routed"));
        var sum = Largest(routed, options.Active).Sum(i => routed[i]);
        return (
            [.. shared.Select(gate => 2 * stage[0] * options.SharedCount * gate)],
            [.. routed.Select(gate => 2 * stage[1] * options.Active * gate / sum)]);

        double[] Softmax(string name) => ExactMath.Softmax(ExactMath.Linear(vector, exact[$"router.{name}.weight"], null, Width));
    }
}
