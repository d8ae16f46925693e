using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Checkpoints;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Tests;

/// <summary>Parameters that learn at other rates or not at all, by name, in all phases or in some.</summary>
public sealed class FreezingTests : IDisposable
{
    private const string Sinks =
        """{"kind":"multi-head","heads":2,"sinks":true,"bias":true,"queryKeyNorm":{"kind":"rms"},"position":{"kind":"relative-bias"}}""";
    private const string Latent =
        """{"kind":"latent","heads":2,"kvLoraRank":6,"nopeHeadDim":4,"ropeHeadDim":4,"vHeadDim":4,"qLoraRank":5}""";

    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void What_is_frozen_has_no_gradient_and_the_rest_has_the_same(int parity)
    {
        SequenceModel[] models =
        [
            Model(TrainingFolder.Recipe("model.encoder.residual=true", "model.decoder.norm={\"kind\":\"layer\"}")),
            Model(TrainingFolder.Recipe("model.encoder={\"kind\":\"gru\",\"layers\":1,\"hidden\":8}", "model.shareEmbeddings=false")),
            Model(
                TrainingFolder.TextRecipe(
                    $"model.decoder.attention={Sinks}", "model.decoder.position={\"kind\":\"learned\",\"positions\":8}",
                    "model.tieEmbeddings=false")),
            Model(
                TrainingFolder.TextRecipe(
                    $"model.decoder.attention={Latent}", "model.mtpDepth=1", "model.decoder.feedForward.router={\"kind\":\"sigmoid\"}")),
        ];
        foreach (var model in models)
        {
            var parameters = model.Parameters().Where(own => own.Parameter.IsTrained).ToList();
            var whole = Gradients(model);
            for (var index = 0; index < parameters.Count; index++) parameters[index].Parameter.IsFrozen = index % 2 == parity;
            foreach (var (name, parameter) in parameters) parameter.Value.ClearGradient();
            var thawed = Gradients(model);
            foreach (var (name, parameter) in parameters)
            {
                if (parameter.IsFrozen) Assert.Empty(thawed[name]);
                else Assert.Equal(whole[name], thawed[name]);
                parameter.IsFrozen = false;
                parameter.Value.ClearGradient();
            }

            Assert.Equal(whole, Gradients(model));
        }
    }

    [Fact]
    public void A_phase_may_freeze_and_thaw_and_a_crashed_run_does_so_too()
    {
        var recipe = TrainingFolder.TextRecipe(
            "phases[0].steps=4",
            """optimizer={"kind":"adamw","rules":[{"pattern":"*norm*","learningRateFactor":0}]}""",
            "checkpoints.everySteps=2",
            "checkpoints.keep=9",
            """model.decoder.feedForward.router={"kind":"sigmoid"}""");
        var first = recipe.Phases[0] with
        {
            Rules =
            [
                new ParameterRule("*.attention.q_proj.*", 0.5),
                ParameterRule.Freeze("*.attention.*"),
                ParameterRule.Freeze("*.router.*"),
                ParameterRule.Freeze("*norm*"),
            ],
        };
        recipe = recipe with { Phases = [first, recipe.Phases[0]] };
        _folder.Train(recipe, "whole");
        var (begun, middle, end) = (Untrained(recipe), Restored(4), Values(ModelFolder.Load(_folder.In("whole")).Model));
        foreach (var name in begun.Keys)
        {
            var isNorm = name.Contains("norm", StringComparison.Ordinal);
            var isThawed =
                (name.Contains(".attention.", StringComparison.Ordinal) && !name.Contains("q_proj", StringComparison.Ordinal))
                || name.Contains("router", StringComparison.Ordinal);
            Assert.Equal(isNorm || isThawed, begun[name].SequenceEqual(middle[name]));
            Assert.Equal(isNorm, begun[name].SequenceEqual(end[name]));
        }

        using var remembered = SafetensorsFile.Open(At(6).File("optimizer.safetensors"));
        Assert.DoesNotContain(remembered.Tensors.Keys, name => name.Contains("norm", StringComparison.Ordinal));
        Assert.Contains("decoder.layers.0.attention.k_proj.weight.exp_avg", remembered.Tensors.Keys);
        foreach (var after in (int[])[3, 7])
        {
            _folder.Crash(recipe, after, $"crashed{after}");
            _folder.Train(recipe, $"crashed{after}", resume: true);
            Assert.Equal(_folder.Weights("whole"), _folder.Weights($"crashed{after}"));
        }

        Checkpoint At(int step) => Checkpoint.Load(Directory.GetDirectories(_folder.In("whole/checkpoints"), $"step-{step:D9}*").Single());

        Dictionary<string, float[]> Restored(int step)
        {
            var model = Model(recipe);
            At(step).Restore(model);
            return Values(model);
        }
    }

    [Fact]
    public void A_rate_of_its_own_moves_a_parameter_by_its_share()
    {
        // The first step of Adam is the learning rate, whatever the gradient.
        string[] settings = ["phases[0].steps=1", "phases[0].learningRate=0.001", "optimizer={\"kind\":\"adamw\",\"weightDecay\":0}"];
        var recipe = TrainingFolder.TextRecipe([
            .. settings,
            """phases[0].rules=[{"pattern":"lm_head*","learningRateFactor":0},{"pattern":"*up_proj*","learningRateFactor":0.25}]""",
            "model.tieEmbeddings=false",
        ]);
        _folder.Train(recipe);
        var before = Untrained(recipe);
        var after = Values(ModelFolder.Load(_folder.In("run")).Model);
        Assert.Equal(0.00025, Moved("decoder.layers.0.feed_forward.shared_experts.up_proj.weight"), 1e-5);
        Assert.Equal(0.001, Moved("decoder.layers.0.feed_forward.shared_experts.down_proj.weight"), 4e-5);
        Assert.Equal(0, Moved("lm_head.weight"));

        double Moved(string name) => before[name].Zip(after[name], (x, y) => Math.Abs(x - y)).Max();
    }

    [Theory]
    [InlineData(
        """optimizer={"kind":"adamw","rules":[{"pattern":"decoder.*"},{"pattern":"nobody.*"}]}""",
        "optimizer.rules[1].pattern: is 'nobody.*', which fits no parameter; a name is, for example, embed_tokens.weight"
    )]
    [InlineData(
        """phases[0].rules=[{"pattern":"x"}]""",
        "phases[0].rules[0].pattern: is 'x', which fits no parameter; a name is, for example, embed_tokens.weight"
    )]
    [InlineData(
        """phases[0].rules=[{"pattern":"*","learningRateFactor":0}]""",
        "phases[0].rules: freezes all parameters; allowed: rules that leave something to learn"
    )]
    [InlineData(
        """optimizer={"kind":"adamw","rules":[{"pattern":"*"},{"pattern":"decoder.*"}]}""",
        "optimizer.rules[1].pattern: is 'decoder.*', which never counts: rules before it, of which the first that fits counts, "
        + "fit all its parameters; put it before them"
    )]
    public void Rules_that_cannot_be_meant_are_refused(string setting, string message) =>
        Assert.Equal(message, Assert.Throws<RecipeException>(() => _folder.Train(TrainingFolder.TextRecipe(setting))).Message);

    private static SequenceModel Model(Recipe recipe) => recipe.Model.Build(280, recipe.Seed);

    private Dictionary<string, float[]> Untrained(Recipe recipe) =>
        Values(
            recipe.Model.Build(
                Tessera
                    .Text.Tokenizers.Tokenizer.Load(
                        _folder.In(Directory.Exists(_folder.In("whole")) ? "whole/tokenizer.json" : "run/tokenizer.json"))
                    .VocabularySize,
                recipe.Seed));

    private static Dictionary<string, float[]> Values(Module model) =>
        model.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray());

    private static Dictionary<string, float[]> Gradients(SequenceModel model)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var ids = Tensor.From([3, 14, 15, 9, 26, 5, 35, 8], [2, 4]);
        var batch = Batch.Of(ids, ids, Batch.PositionsFromStart(2, 4));
        if (model.ReadsSource) (batch.Source, batch.SourceLengths) = (Tensor.From([4, 5, 6, 7, 8, 9], [2, 3]), Tensor.From([3, 2], [2]));
        var step = ForwardContext.At(batch.Positions);
        step.IsTraining = true;
        var loss = model.Loss(batch, step);
        foreach (var (_, part) in step.Losses) loss = Op.Add(loss, part);
        tape.Backward(loss);
        return model.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.Gradient.ToArray());
    }
}
