using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Tests;

public sealed class TransformerTests
{
    private const int Length = 4;
    private const int Width = 6;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stack_adds_parts_of_its_normed_stream(bool cross)
    {
        const int MemoryLength = 3, MemoryWidth = 4;
        var options = Options() with { Position = new SinusoidalOptions(8), Norm = cross ? new LayerNormOptions() : new RmsNormOptions() };
        var part = PartCheck.Shaken(new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal, cross ? MemoryWidth : 0));
        List<(string, Shape)> inputs = [("x", [1, Length, Width])];
        if (cross) inputs.Add(("memory", [1, MemoryLength, MemoryWidth]));
        PartCheck.Run(
            part,
            tensors =>
                part.Forward(
                    tensors["x"],
                    new ForwardContext { Positions = PartCheck.Positions(1, Length), Memory = tensors.GetValueOrDefault("memory") }),
            Equation, 5e-6, null, [.. inputs]);

        double[] Equation(Dictionary<string, double[]> exact)
        {
            var x = (double[])exact["x"].Clone();
            for (var i = 0; i < x.Length; i++)
            {
                var angle = i / Width / Math.Pow(10000, (double)(i % Width / 2 * 2) / Width);
                x[i] += i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle);
            }

            for (var layer = 0; layer < options.Layers; layer++)
            {
                var name = $"layers.{layer}.";
                var normed = Norm(x, name + "input_norm");
                x = ExactMath.Add(x, Attend(name + "attention", normed, normed, Width, (_, query, key) => key <= query));
                if (cross)
                    x = ExactMath.Add(
                        x, Attend(name + "cross_attention", Norm(x, name + "cross_norm"), exact["memory"], MemoryWidth, (_, _, _) => true));
                x = ExactMath.Add(x, FeedForward(Norm(x, name + "feed_forward_norm"), name + "feed_forward"));
            }

            return Norm(x, "norm");

            double[] Norm(double[] values, string norm) => cross
                ? ExactMath.LayerNorm(values, exact[norm + ".weight"], exact[norm + ".bias"], 1e-5f)
                : ExactMath.RmsNorm(values, exact[norm + ".weight"], 1e-6f);

            double[] Attend(string attention, double[] values, double[] source, int sourceWidth, Func<int, int, int, bool> sees)
            {
                var queries = ExactMath.Linear(values, exact[attention + ".q_proj.weight"], null, Width);
                var keys = ExactMath.Linear(source, exact[attention + ".k_proj.weight"], null, sourceWidth);
                var read = ExactMath.Linear(source, exact[attention + ".v_proj.weight"], null, sourceWidth);
                return ExactMath.Linear(
                    ExactMath.Attend(queries, keys, read, 1, 2, 2, Width / 2, sees), exact[attention + ".o_proj.weight"], null, Width);
            }

            double[] FeedForward(double[] values, string feedForward)
            {
                var gate = ExactMath.Linear(values, exact[feedForward + ".gate_proj.weight"], null, Width);
                var up = ExactMath.Linear(values, exact[feedForward + ".up_proj.weight"], null, Width);
                double[] hidden = [.. gate.Zip(up, (g, u) => ExactMath.Silu(g) * u)];
                return ExactMath.Linear(hidden, exact[feedForward + ".down_proj.weight"], null, 5);
            }
        }
    }

    [Fact]
    public void Dropout_is_on_in_training_only_and_is_the_same_for_the_same_random_numbers()
    {
        using var scope = Arena.Current.Scope();
        var part = new Transformer(Options() with { Dropout = 0.4f }, PartCheck.Builder(Width), MixerRole.Causal);
        var still = new Transformer(Options(), PartCheck.Builder(Width), MixerRole.Causal);
        var x = PartCheck.Normal(Length * Width, 4);

        Assert.Equal(Forward(still, true, 1), Forward(part, false, 1));
        Assert.Equal(Forward(part, false, 1), Forward(part, false, 2));
        Assert.Equal(Forward(part, true, 1), Forward(part, true, 1));
        Assert.NotEqual(Forward(part, true, 1), Forward(part, true, 2));
        Assert.NotEqual(Forward(part, false, 1), Forward(part, true, 1));

        float[] Forward(Transformer stack, bool training, ulong seed) => stack.Forward(
                    Tensor.From(x, [1, Length, Width]),
                    new ForwardContext
                    {
                        Positions = PartCheck.Positions(1, Length),
                        IsTraining = training,
                        Random = new CounterRandom(seed),
                    })
                .ToArray();
    }

    [Fact]
    public void Each_dropout_of_a_step_drops_other_elements_and_keeps_the_mean()
    {
        using var scope = Arena.Current.Scope();
        const int Count = 40_000;
        var step = new ForwardContext { Positions = PartCheck.Positions(1, 1), IsTraining = true, Random = new CounterRandom(3) };
        var ones = Tensor.From([.. Enumerable.Repeat(1f, Count)], [Count]);
        var (first, second) = (step.Dropout(ones, 0.25f).ToArray(), step.Dropout(ones, 0.25f).ToArray());
        Assert.Equal(0.25, first.Count(value => value == 0) / (double)Count, 0.01);
        Assert.All(first, value => Assert.True(value is 0 or 1 / 0.75f));
        Assert.Equal(0.25 * 0.25, first.Zip(second).Count(pair => pair is { First: 0, Second: 0 }) / (double)Count, 0.01);
        Assert.Same(ones, step.Dropout(ones, 0));
    }

    [Fact]
    public void Layers_start_from_weights_of_their_own()
    {
        var part = new Transformer(Options(), PartCheck.Builder(Width), MixerRole.Causal, Width);
        var matrices = part.Parameters()
            .Where(own => own.Parameter.Value.Shape.Rank == 2)
            .Select(own => own.Parameter.Value.Floats[0])
            .ToArray();
        Assert.Equal(2 * (4 + 4 + 3), matrices.Length);
        Assert.Equal(matrices.Length, matrices.Distinct().Count());
    }

    [Fact]
    public void Depth_makes_the_last_maps_start_smaller()
    {
        var part = new Transformer(
            Options() with
            {
                Layers = 8,
                Attention = new MultiHeadOptions(2) { HeadWidth = 64 },
            },
            PartCheck.Builder(128),
            MixerRole.Causal);
        var parameters = part.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray());
        Assert.Equal(1 / Math.Sqrt(128), Deviation("layers.0.attention.q_proj.weight"), 0.003);
        Assert.Equal(1 / Math.Sqrt(128 * 16), Deviation("layers.0.attention.o_proj.weight"), 0.001);
        Assert.Equal(1 / Math.Sqrt(5 * 16), Deviation("layers.7.feed_forward.down_proj.weight"), 0.01);

        double Deviation(string name) => Math.Sqrt(parameters[name].Average(value => (double)value * value));
    }

    /// <summary>As in T5: the gradient of the one table is the sum of those of tables that each layer has for itself.</summary>
    [Fact]
    public void Layers_share_a_table_of_relative_positions_where_asked()
    {
        using var scope = Arena.Current.Scope();
        var (own, shared) = (Build(shared: false), Build(shared: true));
        var (apart, together) = (own.Parameters().ToDictionary(), shared.Parameters().ToDictionary());
        Assert.Single(together.Keys, name => name.EndsWith("position.weight", StringComparison.Ordinal));
        foreach (var (name, parameter) in together) parameter.Value.Floats.CopyTo(apart[name].Value.Floats);
        apart["layers.0.attention.position.weight"].Value.Floats.CopyTo(apart["layers.1.attention.position.weight"].Value.Floats);
        var (one, other) = (Gradient(own, apart), Gradient(shared, together));
        float[] sum = [.. one.Zip(Of(apart, 1), (first, second) => first + second)];
        PartCheck.Compare("table", sum, other, 1e-5);

        Transformer Build(bool shared) => new(
            Options() with { Layers = 2, Attention = new MultiHeadOptions(2) { Position = new RelativePositionBiasOptions(4, 5, shared) } },
            PartCheck.Builder(Width), MixerRole.Causal);

        float[] Gradient(Transformer stack, Dictionary<string, Parameter> parameters)
        {
            using var tape = Tape.Record();
            var y = stack.Forward(Tensor.From(PartCheck.Normal(6 * Width, 2), [1, 6, Width]), PartCheck.Step(1, 6));
            tape.Backward(y, PartCheck.Normal(6 * Width, 3));
            return Of(parameters, 0);
        }

        static float[] Of(Dictionary<string, Parameter> parameters, int layer) =>
            parameters[$"layers.{layer}.attention.position.weight"].Value.Gradient.ToArray();
    }

    [Fact]
    public void Parts_in_the_wrong_place_are_named()
    {
        Expect("model.position.kind: is rotary; allowed: a kind that is added", Options() with { Position = new RotaryOptions() });
        Expect(
            "model.attention.position.kind: is sinusoidal; allowed: a kind that acts on queries and keys",
            Options() with { Attention = new MultiHeadOptions(2) { Position = new SinusoidalOptions() } });
        Expect("model.dropout: is 1; allowed: at least 0, below 1", Options() with { Dropout = 1 });
        Expect("model.norm.epsilon: is 0; allowed: greater than 0", Options() with { Norm = new RmsNormOptions(0) });
        Expect("model.feedForward.hidden: is 0; allowed: 1 to 1048576", Options() with { FeedForward = new SwiGluOptions(0) });

        static void Expect(string message, TransformerOptions options)
        {
            var error = Assert.Throws<RecipeException>(() => new Transformer(options, PartCheck.Builder(Width), MixerRole.Causal));
            Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        }
    }

    private static TransformerOptions Options() =>
        new()
        {
            Layers = 2,
            Attention = new MultiHeadOptions(2),
            FeedForward = new SwiGluOptions(5),
        };

    [Fact]
    public void A_checkpointed_segment_drops_the_same_elements_on_the_way_back()
    {
        Assert.Equal(Gradient(checkpoint: false), Gradient(checkpoint: true));

        static float[] Gradient(bool checkpoint)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var step = new ForwardContext { Positions = PartCheck.Positions(1, 1), IsTraining = true, Random = new CounterRandom(3) };
            var x = Tensor.From(Enumerable.Range(1, 100).Select(i => i / 100f).ToArray(), [1, 100]).WithGradient();
            Tensor Segment(Tensor input) => step.Dropout(Op.Activate(step.Dropout(input, 0.5f), Activation.Sigmoid), 0.5f);
            var y = step.Dropout(x, 0.1f);
            y = checkpoint ? step.Checkpoint(y, (input, _) => Segment(input)) : Segment(y);
            y = step.Dropout(y, 0.1f);
            tape.Backward(y, Enumerable.Range(0, 100).Select(i => 1f + i).ToArray());
            return x.Gradient.ToArray();
        }
    }

    [Theory]
    [InlineData(1, 0)] // the loss alone
    [InlineData(0, 1)]
    [InlineData(0.5f, 2)]
    public void A_loss_that_a_checkpointed_segment_reports_has_its_gradient(float lossWeight, float outputWeight)
    {
        var (plain, checkpointed) = (Gradient(checkpoint: false), Gradient(checkpoint: true));
        Assert.Equal(plain, checkpointed);
        Assert.Contains(plain, value => value != 0);

        float[] Gradient(bool checkpoint)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var step = new ForwardContext { Positions = PartCheck.Positions(1, 1), IsTraining = true };
            var x = Tensor.From([0.5f, -1, 2], [1, 3]).WithGradient();
            var y = checkpoint ? step.Checkpoint(x, Segment) : Segment(x, step);
            Assert.Equal(["first", "second"], step.Losses.Select(loss => loss.Name));
            var sum = Op.Scale(Op.CrossEntropy(y, Tensor.From([1], [1])), outputWeight);
            tape.Backward(Op.Add(sum, Op.Scale(step.Losses[1].Loss, lossWeight)));
            return x.Gradient.ToArray();
        }

        static Tensor Segment(Tensor input, ForwardContext step)
        {
            var turned = Op.Activate(input, Activation.Tanh);
            step.AddLoss("first", Op.CrossEntropy(turned, Tensor.From([0], [1])));
            step.AddLoss("second", Op.CrossEntropy(turned, Tensor.From([2], [1])));
            return Op.Scale(turned, 3);
        }
    }
}
