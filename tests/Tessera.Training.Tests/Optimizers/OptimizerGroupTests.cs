using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Checkpoints;
using Tessera.Training.Optimizers;
using Tessera.Training.Tests.Checkpoints;

namespace Tessera.Training.Tests.Optimizers;

/// <summary>Parameters that rules send to optimizers of their own.</summary>
public sealed class OptimizerGroupTests : IDisposable
{
    private const string Rules = """
        optimizer={"kind":"adamw","weightDecay":0.2,"rules":[
          {"pattern":"*.k_proj.*","learningRateFactor":0.5},
          {"pattern":"*norm*","optimizer":{"kind":"nesterov","momentum":0.8}},
          {"pattern":"*_proj*","learningRateFactor":0.25,"optimizer":{"kind":"adamw","beta1":0.5}}]}
        """;

    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Groups_move_as_separate_optimizers_of_their_parameters_do()
    {
        var recipe = TrainingFolder.TextRecipe(Rules);
        var (together, apart) = (Model(), Model());
        var groups = new ParameterGroups(recipe, together.Parameters());
        var optimizer = groups.Build();
        Optimizer[] alone =
        [
            new AdamWOptions(WeightDecay: 0.2).Build(Of(name => !IsNorm(name)
                && (!name.Contains("_proj", StringComparison.Ordinal) || IsKey(name)))),
            new NesterovOptions(0.8).Build(Of(IsNorm)),
            new AdamWOptions(Beta1: 0.5).Build(Of(name => !IsNorm(name) && name.Contains("_proj", StringComparison.Ordinal)
                && !IsKey(name))),
        ];
        groups.Apply(recipe.Phases[0], optimizer);
        alone[0].Follow([new ParameterRule("*.k_proj.*", 0.5)]);
        alone[2].Follow([new ParameterRule("*", 0.25)]);
        for (var step = 0; step < 4; step++)
        {
            foreach (var ((_, one), (_, other)) in together.Parameters().Zip(apart.Parameters()))
            {
                var gradient = Parameters.Normal(new Random(step), (int)one.Shape.Count);
                one.SetGradient(gradient);
                other.SetGradient(gradient);
            }

            var clip = GradientClip.Measure(optimizer.Learning, 1);
            Assert.Equal(GradientClip.Measure(apart.Parameters(), 1), clip); // all gradients are one vector, in the model's order
            optimizer.Step(0.01, clip.Scale);
            foreach (var one in alone) one.Step(0.01, clip.Scale);
        }

        foreach (var ((name, one), (_, other)) in together.Parameters().Zip(apart.Parameters()))
            Assert.True(one.Value.ToArray().SequenceEqual(other.Value.ToArray()), name);
        Assert.Equal(alone.SelectMany(one => one.State).Select(state => state.Name), optimizer.State.Select(state => state.Name));
        Assert.Equal(3, groups.Groups.Count);

        static bool IsNorm(string name) => name.Contains("norm", StringComparison.Ordinal);
        static bool IsKey(string name) => name.Contains(".k_proj.", StringComparison.Ordinal);
        List<(string, Parameter)> Of(Func<string, bool> where) => [.. apart.Parameters().Where(own => where(own.Name))];
        Module Model() => recipe.Model.Build(280, seed: 3);
    }

    [Fact]
    public void A_run_with_groups_resumes_to_the_same_bits_and_remembers_under_the_usual_names()
    {
        var recipe = TrainingFolder.TextRecipe(Rules, "checkpoints.everySteps=4");
        _folder.Train(recipe, "whole");
        _folder.Train(TrainingFolder.TextRecipe(), "plain");
        Assert.NotEqual(_folder.Weights("plain"), _folder.Weights("whole"));
        _folder.Crash(recipe, 7);
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
        using var file = SafetensorsFile.Open(Directory.GetDirectories(_folder.In("whole/checkpoints")).Max() + "/optimizer.safetensors");
        Assert.Contains("decoder.norm.weight.momentum_buffer", file.Tensors.Keys);
        Assert.DoesNotContain("decoder.norm.weight.exp_avg", file.Tensors.Keys);
        Assert.Contains("decoder.layers.0.attention.q_proj.weight.exp_avg", file.Tensors.Keys);
    }

    [Fact]
    public void A_rule_with_the_recipes_own_optimizer_changes_no_bit()
    {
        _folder.Train(TrainingFolder.TextRecipe(), "plain");
        _folder.Train(TrainingFolder.TextRecipe(
            """optimizer={"kind":"adamw","rules":[{"pattern":"*norm*","optimizer":{"kind":"adamw"}}]}"""), "grouped");
        Assert.Equal(_folder.Weights("plain"), _folder.Weights("grouped"));
    }

    [Fact]
    public void What_is_remembered_may_have_another_shape_than_the_parameter_and_is_saved_and_restored()
    {
        using var folder = new CheckpointFolder();
        var (first, second) = (new RowMeans(Of()), new RowMeans(Of()));
        first.Step(1);
        Assert.Equal([("a.row_means", new Shape([3])), ("b.row_means", new Shape([2]))],
            first.State.Select(state => (state.Name, state.Tensor.Shape)));
        Assert.Equal([1f, 2, 3], first.State[0].Tensor.ToArray());
        var checkpoint = new CheckpointStore(folder.Store).Save(1, writer => writer.Optimizer(first.State));
        checkpoint.Restore(second.State);
        Assert.Equal(first.State.Select(state => state.Tensor.ToArray()), second.State.Select(state => state.Tensor.ToArray()));

        static List<(string, Parameter)> Of()
        {
            List<(string Name, Parameter Parameter)> parameters = [Parameters.Of("a", new float[12], [3, 4]),
                Parameters.Of("b", new float[4], [2, 2])];
            foreach (var (_, parameter) in parameters)
                parameter.SetGradient([.. Enumerable.Range(0, (int)parameter.Shape.Count).Select(i => 1f + (i / parameter.Shape.Width))]);
            return parameters;
        }
    }

    [Theory]
    [InlineData("""{"kind":"adamw","beta2":1}""", "optimizer.beta2: is 1; allowed: at least 0 and less than 1")]
    [InlineData("""{"kind":"adamw","rules":[{"pattern":"*","optimizer":{"kind":"nesterov","momentum":-1}}]}""",
        "optimizer.rules[0].optimizer.momentum: is -1; allowed: at least 0 and less than 1")]
    [InlineData("""{"kind":"adamw","rules":[{"pattern":"*","optimizer":{"kind":"adamw","rules":[{"pattern":"*"}]}}]}""",
        "optimizer.rules[0].optimizer.rules: has 1 rules; allowed: none, its parameters follow optimizer.rules")]
    [InlineData("""{"kind":"adamw","rules":[{"pattern":"*","optimizer":{"kind":"muon"}}]}""",
        "optimizer.rules[0].optimizer.kind: is \"muon\"; allowed: adamw, nesterov")]
    public void An_optimizer_that_cannot_be_is_told_with_its_place(string optimizer, string message) =>
        Assert.Equal(message, Assert.Throws<RecipeException>(() => TrainingFolder.TextRecipe($"optimizer={optimizer}")).Message);

    [Fact]
    public void A_phase_names_no_optimizer() => Assert.Equal(
        "phases[0].rules[0].optimizer: is named in a phase; allowed: in optimizer.rules, "
        + "since what an optimizer remembers lasts the whole run",
        Assert.Throws<RecipeException>(() =>
            TrainingFolder.TextRecipe("""phases[0].rules=[{"pattern":"*","optimizer":{"kind":"adamw"}}]""")).Message);

    /// <summary>Remembers the mean gradient of each row, and moves nothing.</summary>
    private sealed class RowMeans : Optimizer
    {
        private readonly IReadOnlyList<Tensor> _means;

        public RowMeans(IReadOnlyList<(string Name, Parameter Parameter)> parameters) : base(parameters, []) =>
            _means = Remember("row_means", shape => [shape[0]]);

        protected override void Add(UpdateBatch batch, int index, Tensor weights, bool decays, double learningRate)
        {
            for (var row = 0; row < weights.Shape[0]; row++)
                _means[index].Floats[row] = weights.Gradient.Slice(row * weights.Shape.Width, weights.Shape.Width).ToArray().Average();
        }

        protected override void Run(UpdateBatch batch, double gradientScale)
        {
        }
    }
}
