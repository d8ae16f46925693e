using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;

namespace Tessera.Training.Tests;

/// <summary>Models of checkpoints, as they are loaded to be used.</summary>
public sealed class RunModelTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_checkpoint_is_loaded_by_its_step_its_folder_or_as_the_best_or_the_last()
    {
        var recipe = TrainingFolder.Recipe("checkpoints.keep=4", "validation.everySteps=4", "validation.finishWith=last");
        recipe = recipe with { Phases = [recipe.Phases[0] with { Steps = 9 }, recipe.Phases[0] with { Steps = 3, LearningRate = 3 }] };
        _folder.Train(recipe);
        foreach (var (step, folder) in ((string, string)[])[("5", "step-000000005"), ("10", "step-000000010"), ("last", "step-000000012")])
        {
            var stored = Stored($"run/checkpoints/{folder}/model.safetensors");
            Assert.Equal(stored, Weights(RunModel.Load(_folder.In("run"), step)));
            Assert.Equal(stored, Weights(RunModel.Load(_folder.In($"run/checkpoints/{folder}"))));
        }

        var (finished, model) = (ModelFolder.Load(_folder.In("run")), RunModel.Load(_folder.In("run"), "last"));
        Assert.Equal(Weights(finished), Weights(model));
        Assert.Equal(finished.Config with { WeightsHash = null }, model.Config with { Model = finished.Config.Model });
        Assert.Equal(finished.Tokenizer.EncodeOrdinary("red one 3"), model.Tokenizer.EncodeOrdinary("red one 3"));
    }

    [Fact]
    public void The_best_checkpoint_has_the_lowest_validation_loss()
    {
        var recipe = TrainingFolder.Recipe("checkpoints.keep=2", "validation.everySteps=4");
        recipe = recipe with { Phases = [recipe.Phases[0] with { Steps = 8 }, recipe.Phases[0] with { Steps = 8, LearningRate = 3 }] };
        var best = _folder.Train(recipe).OfType<Validated>().MinBy(validated => validated.Loss)!;
        Assert.Equal(8, best.Step);
        Assert.Equal(Stored("run/checkpoints/step-000000008/model.safetensors"), Weights(RunModel.Load(_folder.In("run"), "best")));
    }

    [Fact]
    public void A_checkpoint_of_adapters_acts_in_the_model_that_the_run_started_from()
    {
        _folder.Train(TrainingFolder.TextRecipe("phases[0].steps=2"), "base");
        var json = RecipeJson.Parse(TrainingFolder.TextRecipe().ToJson(), "tiny");
        json.Remove("model");
        json["tokenizer"]!["vocabulary"] = 8192;
        json["start"] = _folder.In("base");
        json["lora"] = RecipeJson.Parse("""{ "rank": 2, "targets": ["*.q_proj"] }""", "lora");
        _folder.Train(Recipe.Read(json, ["phases[0].losses={}"]));
        var (finished, checkpoint) = (ModelFolder.Load(_folder.In("run")), RunModel.Load(_folder.In("run"), "last"));
        Assert.NotNull(checkpoint.Adapters);
        Assert.Equal(
            finished.Adapters!.Parameters().SelectMany(own => own.Parameter.Value.ToArray()),
            checkpoint.Adapters.Parameters().SelectMany(own => own.Parameter.Value.ToArray()));
        Assert.Equal(Weights(finished), Weights(checkpoint));
    }

    [Fact]
    public void A_checkpoint_of_an_unfinished_run_on_pairs_is_prompted_as_its_finished_model_will_be()
    {
        var recipe = TrainingFolder.TextRecipe();
        _folder.Crash(recipe, 7);
        var checkpoint = RunModel.Load(_folder.In("run"), "last");
        _folder.Train(recipe, resume: true);
        var finished = ModelFolder.Load(_folder.In("run"));
        Assert.True(checkpoint.PromptFormat.ReadsPairs);
        Assert.Equal(
            finished.PromptFormat.EncodePrompt(finished.Tokenizer, "red one 3"),
            checkpoint.PromptFormat.EncodePrompt(checkpoint.Tokenizer, "red one 3"));
    }

    [Fact]
    public void What_is_not_there_is_told_with_what_is()
    {
        Assert.Throws<TrainingFolder.CrashException>(() => _folder.Train(TrainingFolder.Recipe(), also: happened =>
        {
            if (happened is StepDone { Step: 7 }) throw new TrainingFolder.CrashException();
        }));
        var run = _folder.In("run");
        Message($"'{run}' has no checkpoint '7'; allowed: 5, best or last", run, "7");
        Message($"'{run}' has no checkpoint with a validation loss; allowed: 5 or last", run, "best");
        Message($"'{run}' holds a run that is not finished; name one of its checkpoints, which are 5, best or last", run, null);
        Message($"'{_folder.Path}' is no run, and has no checkpoints", _folder.Path, "last");
        var step = _folder.In("run/checkpoints/step-000000005");
        Message($"'{step}' is a checkpoint already; name its run, or leave the checkpoint out", step, "last");
        File.AppendAllText(Path.Combine(step, "model.safetensors"), "x");
        var damaged = Assert.Throws<InvalidDataException>(() => RunModel.Load(run, "5")).Message;
        Assert.Contains("model.safetensors: is too long", damaged, StringComparison.Ordinal);

        static void Message(string expected, string path, string? checkpoint) =>
            Assert.Equal(expected, Assert.Throws<InvalidDataException>(() => RunModel.Load(path, checkpoint)).Message);
    }

    private static float[] Weights(ModelFolder model) => [.. model.Model.Parameters().OrderBy(own => own.Name, StringComparer.Ordinal)
        .SelectMany(own => own.Parameter.Value.ToArray())];

    private float[] Stored(string file)
    {
        using var source = SafetensorsFile.Open(_folder.In(file));
        return [.. source.Tensors.Keys.Order(StringComparer.Ordinal).SelectMany(name =>
        {
            var floats = new float[source[name].Count];
            source.ReadFloats(name, floats);
            return floats;
        })];
    }
}
