using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Nn;
using Tessera.Testing;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Tests.Optimizers;

public class OptimizerTests
{
    [Theory]
    [InlineData("adamw", 3e-3)]
    [InlineData("adam", 3e-3)]
    [InlineData("sgd_nesterov", 1e-2)]
    public void Twenty_steps_end_where_PyTorch_ends(string name, double learningRate)
    {
        var options = name switch
        {
            "adamw" => new AdamWOptions(0.9, 0.95, 1e-8, 0.1),
            "adam" => new AdamWOptions(0.9, 0.999, 1e-8, 0),
            _ => (OptimizerOptions)new NesterovOptions(0.9, 1e-3),
        };
        var expected = new ReferenceTensors(Fixture.Local($"torch/optimizer-{name}/expected.safetensors"));
        var parameters = new[] { 0, 1 }.Select(i => Parameters.Of($"{i}", expected.Floats($"before.{i}"))).ToList();
        var optimizer = options.Build(parameters);
        var compared = 0;
        for (var step = 0; step < 20; step++)
        {
            foreach (var (index, parameter) in parameters)
                parameter.SetGradient([.. expected.Floats($"gradients.{index}").Chunk((int)parameter.Value.Shape.Count).ElementAt(step)]);
            optimizer.Step(learningRate);
            foreach (var (index, parameter) in parameters)
            {
                if (!expected.Has($"after{step + 1}.{index}")) continue;
                Near(expected.Floats($"after{step + 1}.{index}"), parameter.Value.ToArray(), 2e-7);
                compared++;
            }
        }

        Assert.Equal(6, compared);
    }

    [Fact]
    public void Adam_with_rules_scales_and_missing_gradients_follows_its_formula_in_double_precision()
    {
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20), Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var sizes = Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(4) == 0 ? random.Next(1, 9000) : random.Next(1, 50));
            var parameters = Parameters.Random(seed, [.. sizes]);
            var rule = new ParameterRule("p?", 0.25);
            var optimizer = new AdamWOptions(0.8, 0.9, 1e-6, 0.2) { Rules = [rule] }.Build(parameters);
            var expected = parameters.ConvertAll(own => new DoubleAdam([.. own.Parameter.Value.ToArray().Select(value => (double)value)]));
            for (var step = 0; step < 4; step++)
            {
                var (rate, scale) = (random.NextDouble() * 0.01, random.NextDouble());
                for (var i = 0; i < parameters.Count; i++)
                {
                    var (name, parameter) = parameters[i];
                    parameter.Value.ClearGradient();
                    if (random.Next(4) == 0) continue;
                    var gradient = Parameters.Normal(random, expected[i].Weights.Length);
                    parameter.SetGradient(gradient);
                    expected[i].Step(gradient, scale, rate * (name.Length == 2 ? 0.25 : 1), parameter.Decays ? 0.2 : 0);
                }

                optimizer.Step(rate, scale);
            }

            for (var i = 0; i < parameters.Count; i++)
                Near([.. expected[i].Weights.Select(value => (float)value)], parameters[i].Parameter.Value.ToArray(), 2e-6);
        }));
    }

    [Fact]
    public void A_tensor_among_others_moves_to_the_same_bits_as_alone()
    {
        // Alone it is cut into other parts than as a piece of a long range.
        int[] sizes = [5, 100_003, 1, 16, 17, 40_000, 33, 0, 7];
        var (together, apart) = (Parameters.Random(3, sizes), Parameters.Random(3, sizes));
        var options = new AdamWOptions();
        var one = options.Build(together);
        var many = apart.ConvertAll(parameter => options.Build([parameter]));
        for (var step = 0; step < 3; step++)
        {
            foreach (var ((_, a), (_, b)) in together.Zip(apart))
            {
                var gradient = Parameters.Normal(new Random(step), (int)a.Value.Shape.Count);
                a.SetGradient(gradient);
                b.SetGradient(gradient);
            }

            one.Step(1e-2);
            many.ForEach(optimizer => optimizer.Step(1e-2));
        }

        foreach (var ((_, a), (_, b)) in together.Zip(apart)) Assert.Equal(b.Value.ToArray(), a.Value.ToArray());
    }

    [Fact]
    public void A_frozen_parameter_keeps_its_value_and_takes_no_state()
    {
        var parameters = Parameters.Random(1, 10, 20);
        var before = parameters[0].Parameter.Value.ToArray();
        var optimizer = new AdamWOptions { Rules = [ParameterRule.Freeze("p0")] }.Build(parameters);
        foreach (var (_, parameter) in parameters) parameter.SetGradient(Parameters.Normal(new Random(2), (int)parameter.Value.Shape.Count));
        optimizer.Step(0.1);
        Assert.Equal(before, parameters[0].Parameter.Value.ToArray());
        Assert.Equal(["p1.exp_avg", "p1.exp_avg_sq", "p1.step"], optimizer.State.Select(state => state.Name));
    }

    [Fact]
    public void A_state_copied_into_a_new_optimizer_goes_on_to_the_same_bits()
    {
        var (first, second) = (Parameters.Random(1, 100, 20), Parameters.Random(1, 100, 20));
        var options = new AdamWOptions();
        var (one, two) = (options.Build(first), options.Build(second));
        Run(first, one, 0, 5);
        foreach (var (from, to) in first.Zip(second)) from.Parameter.Value.Floats.CopyTo(to.Parameter.Value.Floats);
        foreach (var (from, to) in one.State.Zip(two.State)) from.Tensor.Bytes.CopyTo(to.Tensor.Bytes);
        Run(first, one, 5, 9);
        Run(second, two, 5, 9);
        foreach (var (from, to) in first.Zip(second)) Assert.Equal(from.Parameter.Value.ToArray(), to.Parameter.Value.ToArray());
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        var parameters = Parameters.Random(1, 1000, 7, 70_000, 30);
        var optimizer = new AdamWOptions().Build(parameters);
        Run(parameters, optimizer, 0, 1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 10; step++) optimizer.Step(1e-3, GradientClip.Measure(parameters, 1).Scale);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Impossible_options_and_rules_are_refused_by_name_and_value()
    {
        var parameters = Parameters.Random(1, 3);
        Throws<ArgumentOutOfRangeException>("Beta2", "1", () => new AdamWOptions(Beta2: 1).Build(parameters));
        Throws<ArgumentOutOfRangeException>("WeightDecay", "NaN", () => new AdamWOptions(WeightDecay: double.NaN).Build(parameters));
        Throws<ArgumentOutOfRangeException>("Momentum", "-0.5", () => new NesterovOptions(-0.5).Build(parameters));
        Throws<ArgumentOutOfRangeException>("encoder.*", "-1", () => new ParameterRule("encoder.*", -1));
        Throws<ArgumentException>("'decoder.*'", "p0", () => new AdamWOptions { Rules = [new("decoder.*", 2)] }.Build(parameters));
        Throws<ArgumentException>("two parameters", "p0", () => new AdamWOptions().Build([.. parameters, .. parameters]));
        var optimizer = new AdamWOptions().Build(parameters);
        Assert.Contains("NaN", Assert.Throws<ArgumentOutOfRangeException>(() => optimizer.Step(double.NaN)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_are_read_from_JSON_by_their_kind()
    {
        var options = JsonSerializer.Deserialize<OptimizerOptions>(
            """{ "kind": "adamw", "beta2": 0.99, "rules": [ { "pattern": "a.*", "learningRateFactor": 0 } ] }""", JsonSerializerOptions.Web);
        var adamW = Assert.IsType<AdamWOptions>(options);
        Assert.Equal((0.9, 0.99, 0.1), (adamW.Beta1, adamW.Beta2, adamW.WeightDecay));
        Assert.True(Assert.Single(adamW.Rules).Frozen);
    }

    private static void Run(List<(string Name, Parameter Parameter)> parameters, Optimizer optimizer, int from, int to)
    {
        for (var step = from; step < to; step++)
        {
            foreach (var (_, parameter) in parameters)
                parameter.SetGradient(Parameters.Normal(new Random(step), (int)parameter.Value.Shape.Count));
            optimizer.Step(1e-2);
        }
    }

    private static void Throws<T>(string what, string found, Func<object?> action) where T : Exception
    {
        var message = Assert.Throws<T>(action).Message;
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.Contains(found, message, StringComparison.Ordinal);
    }

    /// <summary>Relative to the value, or to 0.1 for smaller ones: a weight near 0 has the rounding of where it came from.</summary>
    private static void Near(float[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.InRange(Math.Abs(expected[i] - found[i]) / Math.Max(Math.Abs(expected[i]), 0.1), 0, tolerance);
    }

    private sealed class DoubleAdam(double[] weights)
    {
        private readonly double[] _means = new double[weights.Length], _squares = new double[weights.Length];
        private int _steps;

        public double[] Weights => weights;

        public void Step(float[] gradient, double scale, double learningRate, double weightDecay)
        {
            _steps++;
            for (var i = 0; i < weights.Length; i++)
            {
                var g = gradient[i] * scale;
                _means[i] = (0.8 * _means[i]) + (0.2 * g);
                _squares[i] = (0.9 * _squares[i]) + (0.1 * g * g);
                var (mean, square) = (_means[i] / (1 - Math.Pow(0.8, _steps)), _squares[i] / (1 - Math.Pow(0.9, _steps)));
                weights[i] -= learningRate * weightDecay * weights[i];
                weights[i] -= learningRate * mean / (Math.Sqrt(square) + 1e-6);
            }
        }
    }
}
