using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests;

/// <summary>Runs that go on from a finished model: all of it, or adapters beside it.</summary>
public sealed class LoraTrainingTests : IDisposable
{
    private const string Lora = """lora={"rank":3,"alpha":6,"targets":["*.q_proj","*.feed_forward.*proj"],"dropout":0.1}""";

    private readonly TrainingFolder _folder = new();

    public LoraTrainingTests() => _folder.Train(TrainingFolder.TextRecipe("phases[0].steps=40"), "base");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_without_a_model_takes_model_tokenizer_and_weights_from_its_start()
    {
        var recipe = WithoutModel("phases[0].steps=6", "phases[0].learningRate=0.0001", "validation.everySteps=3");
        var events = _folder.Train(recipe);
        var trained = TrainingFolder.Losses(_folder.Train(TrainingFolder.TextRecipe("phases[0].steps=1"), "fresh"))[0];
        Assert.True(TrainingFolder.Losses(events)[0] < 0.7 * trained, "it begins where the other ended");
        var (from, to) = (ModelFolder.Load(_folder.In("base")), ModelFolder.Load(_folder.In("run")));
        Assert.Equal(from.Tokenizer.VocabularySize, to.Tokenizer.VocabularySize);
        Assert.NotEqual(_folder.Weights("base"), _folder.Weights());
        foreach (var ((name, before), (_, after)) in from.Model.Parameters().Zip(to.Model.Parameters()))
            Assert.True(before.Value.ToArray().Zip(after.Value.ToArray()).All(pair => Math.Abs(pair.First - pair.Second) < 0.002), name);
        _folder.Crash(recipe, 4, "crashed");
        _folder.Train(recipe, "crashed", resume: true);
        Assert.Equal(_folder.Weights(), _folder.Weights("crashed"));
    }

    [Fact]
    public void A_model_that_differs_in_dropout_alone_may_be_given_and_another_may_not()
    {
        _folder.Train(TrainingFolder.TextRecipe(Start, "model.decoder.dropout=0.3", "phases[0].steps=1"));
        Assert.Contains("\"dropout\": 0.3", File.ReadAllText(_folder.In("run/config.json")), StringComparison.Ordinal);
        var message = Assert
            .Throws<RecipeException>(() => _folder.Train(TrainingFolder.TextRecipe(Start, "model.decoder.layers=2"), "other"))
            .Message;
        Assert.StartsWith("model.decoder.layers: is 2; allowed: 1, as in the start, '", message, StringComparison.Ordinal);
        message = Assert.Throws<RecipeException>(() => TrainingFolder.TextRecipe("start=/nowhere", "model=null")).Message;
        Assert.StartsWith("model: is null", message, StringComparison.Ordinal);
        message = Assert.Throws<RecipeException>(() => WithoutModel("start=/nowhere")).Message;
        Assert.StartsWith("start: there is no model", message, StringComparison.Ordinal);
        message = Assert.Throws<RecipeException>(() => TrainingFolder.TextRecipe(Lora)).Message;
        Assert.StartsWith("lora: needs a start", message, StringComparison.Ordinal);
        message = Assert.Throws<RecipeException>(() => _folder.Train(WithoutModel(Lora, "lora.targets[1]=*.nobody"), "none")).Message;
        Assert.StartsWith(
            "lora.targets[1]: is '*.nobody', which fits no weight; allowed, for example: lm_head, embed_tokens, *.q_proj, *.k_proj",
            message, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_of_tied_weights_are_refused_before_they_are_trained()
    {
        _folder.Train(TrainingFolder.TextRecipe("model.tieEmbeddings=true", "phases[0].steps=1"), "tied");
        foreach (var (target, other) in (ReadOnlySpan<(string, string)>)[("lm_head", "embed_tokens"), ("embed_tokens", "lm_head")])
        {
            var recipe = WithoutModel($"start={_folder.In("tied")}", Lora, $"lora.targets[1]={target}");
            Assert.Equal(
                $"lora.targets: names '{target}', whose weights are those of '{other}' too (tieEmbeddings); "
                + "allowed: weights of one part, since adapters of tied weights cannot be merged",
                Assert.Throws<RecipeException>(() => _folder.Train(recipe, "none")).Message);
        }
    }

    [Theory]
    [InlineData("model.decoder.attention.heads=1", "model.decoder.attention.heads: is 1; allowed: 2, as in the start, '")]
    [InlineData(
        "model.decoder.attention.position.theta=500", "model.decoder.attention.position.theta: is 500; allowed: 10000, as in the start, '")]
    [InlineData("model.logitScale=2", "model.logitScale: is 2; allowed: 1, as in the start, '")]
    [InlineData("model.mtpDepth=1", "model.mtpDepth: is 1; allowed: 0, as in the start, '")]
    public void A_model_that_would_compute_something_else_with_the_weights_of_its_start_is_refused(string setting, string message) =>
        Assert.StartsWith(
            message, Assert.Throws<RecipeException>(() => _folder.Train(TrainingFolder.TextRecipe(Start, setting))).Message,
            StringComparison.Ordinal);

    [Fact]
    public void A_model_of_pairs_may_differ_from_its_start_in_dropout_alone_too()
    {
        _folder.Train(TrainingFolder.Recipe("phases[0].steps=1"), "pairs");
        var start = $"start={_folder.In("pairs")}";
        _folder.Train(TrainingFolder.Recipe(start, "model.decoder.dropout=0.3", "phases[0].steps=1"));
        var message = Assert
            .Throws<RecipeException>(() => _folder.Train(TrainingFolder.Recipe(start, "model.decoder.attention.heads=1"), "other"))
            .Message;
        Assert.StartsWith("model.decoder.attention.heads: is 1; allowed: 2, as in the start, '", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_says_a_default_of_its_start_is_the_same()
    {
        _folder.Train(
            TrainingFolder.TextRecipe(Start, "model.decoder.attention.keyValueHeads=2", "model.embeddingScale=4", "phases[0].steps=1"),
            "said");
        _folder.Train(WithoutModel("phases[0].steps=1"), "unsaid");
        Assert.Equal(_folder.Weights("unsaid"), _folder.Weights("said"));
    }

    [Fact]
    public void A_start_whose_weights_were_changed_is_found_when_training_begins()
    {
        var recipe = WithoutModel("phases[0].steps=1");
        var bytes = File.ReadAllBytes(_folder.In("base/model.safetensors"));
        bytes[^5] ^= 4;
        File.WriteAllBytes(_folder.In("base/model.safetensors"), bytes);
        Assert.Contains(
            "has been changed: expected SHA-256", Assert.Throws<InvalidDataException>(() => _folder.Train(recipe)).Message,
            StringComparison.Ordinal);
        Assert.NotNull(WithoutModel()); // to read a recipe costs the header of its start
        Assert.NotNull(ModelFolder.Load(_folder.In("base"), check: false));
    }

    [Fact]
    public void A_text_with_a_token_that_the_model_of_the_start_does_not_have_is_refused()
    {
        var data = Data.ByteTokens.Prepare(new NextTokenOptions(), [new(null, "az", "g")], new() { Length = 4 });
        var largest = Data.ByteTokens.Of("z")[0];
        StartingPoint.RequireTokens(data, TrainingFolder.TextRecipe().Model.Build(largest + 1, 1));
        var message = Assert
            .Throws<RecipeException>(() => StartingPoint.RequireTokens(data, TrainingFolder.TextRecipe().Model.Build(largest, 1)))
            .Message;
        Assert.Equal(
            $"start: has a tokenizer that gives token {largest} for a text of the corpus, which its model does not have; its tokens are 0 to {largest - 1}",
            message);
    }

    [Fact]
    public void Adapters_learn_beside_a_model_that_stays_as_it_is_and_resume_exactly()
    {
        var recipe = WithoutModel(Lora, "phases[0].steps=12", "validation.everySteps=12", "checkpoints.everySteps=4");
        var before = _folder.Weights("base");
        var events = _folder.Train(recipe, "whole");
        Assert.Equal(before, _folder.Weights("base"));
        Assert.False(File.Exists(_folder.In("whole/model.safetensors")));
        foreach (var after in (long[])[3, 9])
        {
            _folder.Crash(recipe, after, $"run{after}");
            _folder.Train(recipe, $"run{after}", resume: true);
            Assert.Equal(Adapter("whole"), Adapter($"run{after}"));
        }

        // Two weights a rank and side of each map, and nothing of the base, in file and checkpoint.
        using var file = SafetensorsFile.Open(_folder.In("whole/adapter_model.safetensors"));
        Assert.Contains("base_model.model.decoder.layers.0.attention.q_proj.lora_A.weight", file.Tensors.Keys);
        Assert.All(file.Tensors.Values, tensor => Assert.Contains(3L, tensor.Shape));
        var prepared = events.OfType<Prepared>().Single();
        Assert.Equal(file.Tensors.Values.Sum(tensor => tensor.Count), prepared.Learning);
        Assert.True(prepared.Parameters > prepared.Learning);
        using var saved = SafetensorsFile.Open(Directory.GetDirectories(_folder.In("whole/checkpoints")).Max() + "/model.safetensors");
        Assert.All(saved.Tensors.Keys, name => Assert.Contains(".lora_", name, StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_of_adapters_loads_as_the_trained_model_and_merged_it_is_the_same()
    {
        var validated = _folder.Train(WithoutModel(Lora, "phases[0].steps=12")).OfType<Validated>().Last().Loss;
        var (loaded, plain) = (ModelFolder.Load(_folder.In("run")), ModelFolder.Load(_folder.In("base")));
        var corpus = TrainingFolder.TextRecipe().Data.Load(_folder.Path);
        Assert.Equal(validated, Loss(loaded), 1e-6);
        Assert.NotEqual(validated, Loss(plain), 1e-3);
        Assert.Contains(
            "merge them first", Assert.Throws<RecipeException>(() => WithoutModel($"start={_folder.In("run")}")).Message,
            StringComparison.Ordinal);
        loaded.Adapters!.Merge();
        Assert.Equal(validated, Loss(loaded), 1e-5);
        loaded.Adapters.Merge();
        Assert.Equal(validated, Loss(loaded), 1e-5);
        Assert.Equal(2 * loaded.Adapters.All.Count, loaded.Adapters.Parameters().Count);
        loaded.Save(_folder.In("merged"));
        Assert.Equal(validated, Loss(ModelFolder.Load(_folder.In("merged"))), 1e-5);

        double Loss(ModelFolder folder) => TrainingFolder.Loss(folder, corpus, TrainingFolder.TextRecipe().Batches);
    }

    [Fact]
    public void Adapters_change_nothing_before_training_and_nothing_but_they_has_a_gradient()
    {
        var session = TrainingSession.Open(WithoutModel(Lora), _folder.Path, new RunFolder(_folder.In("run")), resume: false, default);
        session.Plan.Parameters.Apply(session.Recipe.Phases[0], session.Optimizers);
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var batch = session.Data.Train.Make(0, 0, new CounterRandom(1));
        var step = ForwardContext.At(batch.Positions);
        step.Segments = batch.Segments;
        var loss = session.Model.Loss(batch, step);
        var plain = ForwardContext.At(batch.Positions);
        plain.Segments = batch.Segments;
        Assert.Equal(ModelFolder.Load(_folder.In("base")).Model.Loss(batch, plain).Item(), loss.Item());
        tape.Backward(loss);
        Assert.All(session.Model.Parameters(), own => Assert.True(own.Parameter.Value.Gradient.IsEmpty, own.Name));
        Assert.All(session.Adapters!.Parameters().Where(own => own.Name.Contains("lora_B", StringComparison.Ordinal)), own =>
            Assert.False(own.Parameter.Value.Gradient.IsEmpty, own.Name)
        );
        Assert.All(session.Optimizers.State, state => Assert.Contains(".lora_", state.Name, StringComparison.Ordinal));
    }

    private string Start => $"start={_folder.In("base")}";

    private string Adapter(string run) => TrainingFolder.Hash(_folder.In($"{run}/adapter_model.safetensors"));

    private Recipe WithoutModel(params string[] settings)
    {
        var json = RecipeJson.Parse(TrainingFolder.TextRecipe().ToJson(), "tiny.json");
        json.Remove("model");
        return Recipe.Read(json, [Start, .. settings]);
    }
}
