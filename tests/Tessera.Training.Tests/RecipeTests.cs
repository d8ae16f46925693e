using Tessera.CSharp;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Tests;

/// <summary>Recipes as files: those of earlier versions, changes with notes, assemblies with parts.</summary>
public sealed class RecipeTests
{
    public RecipeTests() => CSharpParts.Register();

    public static TheoryData<string> Former =>
        [.. Directory.GetFiles(Folder, "*.json").Select(file => Path.GetFileNameWithoutExtension(file)!)];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Fixtures", "recipes-0.1");

    [Theory]
    [MemberData(nameof(Former))]
    public void The_recipes_of_0_1_are_read_as_what_they_are_called_now(string name)
    {
        var text = File.ReadAllText(Path.Combine(Folder, $"{name}.json"));
        (string Former, string Now)[] names =
        [
            ("laterTokens", "mtpDepth"), ("keyValueRank", "kvLoraRank"), ("queryRank", "qLoraRank"), ("contentWidth", "nopeHeadDim"),
            ("positionWidth", "ropeHeadDim"), ("valueWidth", "vHeadDim"),
        ];
        Assert.Equal(name == "deepseek-mini", names.All(pair => text.Contains($"\"{pair.Former}\"", StringComparison.Ordinal)));
        var present = names.Aggregate(
            text, (changed, pair) => changed.Replace($"\"{pair.Former}\"", $"\"{pair.Now}\"", StringComparison.Ordinal));
        var read = Recipe.Load(Path.Combine(Folder, $"{name}.json"));
        Assert.Equal(Recipe.Read(RecipeJson.Parse(present, "present.json")).ToJson(), read.ToJson());
        Assert.True(read.Model.Build(read.Tokenizer.Vocabulary, read.Seed).ParameterCount() > 1_000_000);
        if (read.Model is DecoderOptions decoder)
            Assert.Equal((1, new LatentOptions(8, 48, 32, 8, 32) { QLoraRank = 128 }), (decoder.MtpDepth, decoder.Decoder.Attention));
    }

    [Fact]
    public void Former_names_can_be_set_and_what_a_run_writes_has_present_ones()
    {
        var recipe = Recipe.Load(
            Path.Combine(Folder, "deepseek-mini.json"), ["model.laterTokens=2", "model.decoder.attention.keyValueRank=40"]);
        var decoder = Assert.IsType<DecoderOptions>(recipe.Model);
        Assert.Equal((2, 40), (decoder.MtpDepth, Assert.IsType<LatentOptions>(decoder.Decoder.Attention).KvLoraRank));
        Assert.All(
            ["laterTokens", "keyValueRank", "queryRank", "contentWidth", "positionWidth"],
            name => Assert.DoesNotContain(name, recipe.ToJson(), StringComparison.Ordinal));
    }

    [Fact]
    public void What_a_swap_drops_is_noted()
    {
        var notes = new List<string>();
        var recipe = Recipe.Load(
            Path.Combine(Folder, "quickstart.json"),
            ["model.decoder.feedForward.kind=swiglu", "model.decoder.norm=layer", "optimizer=nesterov"], notes.Add);
        Assert.Equal(
            ["model.decoder.feedForward is now swiglu, which does not take shared (2), routed (4), active (2), "
            + "router ({\"kind\":\"two-stage\"}), expert ({\"kind\":\"swiglu\",\"hidden\":160}); dropped",
            "phases[0].losses: the model's parts no longer report balance; dropped"], notes);
        Assert.Empty(recipe.Phases[0].Losses);
        Assert.Equal(new LayerNormOptions(), ((EncoderDecoderOptions)recipe.Model).Decoder.Norm);
        Assert.IsType<NesterovOptions>(recipe.Optimizer);
        Assert.True(recipe.Model.Build(300, 1).ParameterCount() > 0);
    }

    [Fact]
    public void A_loss_stays_where_parts_report_it_and_is_an_error_where_none_ever_did()
    {
        var notes = new List<string>();
        var path = Path.Combine(Folder, "quickstart.json");
        Assert.Equal(["balance"], Recipe.Load(path, ["model.decoder.feedForward.router=softmax"], notes.Add).Phases[0].Losses.Keys);
        Assert.Empty(notes);
        var recipe = Recipe.Load(path, ["model.decoder.feedForward=gelu", """phases[0].losses={"balance":0.1,"mtp":0.1}"""], notes.Add);
        Assert.Equal(["mtp"], recipe.Phases[0].Losses.Keys);
        var error = Assert.Throws<RecipeException>(() => RunPlan.Of(recipe, Folder).RequireLosses());
        Assert.Equal("phases[0].losses.mtp: is no loss of this model; allowed: none, this model's parts report no losses", error.Message);
    }

    [Fact]
    public void A_run_trains_and_is_resumed_with_swapped_parts()
    {
        using var folder = new TrainingFolder();
        string[] settings =
        [
            "model.decoder.feedForward.router=sigmoid", "model.decoder.feedForward.expert=gelu", "model.decoder.norm=layer",
            "model.decoder.attention.position=relative-bias", "phases[0].schedule=linear",
        ];
        var recipe = TrainingFolder.TextRecipe(settings);
        folder.Train(recipe, "whole");
        folder.Crash(recipe, afterStep: 7, "cut");
        folder.Train(recipe, "cut", resume: true);
        Assert.Equal(folder.Weights("whole"), folder.Weights("cut"));
    }

    [Theory]
    [InlineData("parts=[\"none.dll\"]", "parts[0]: is '{folder}/none.dll'; there is no such file")]
    [InlineData("parts=[\"quickstart.json\"]", "parts[0]: is '{folder}/quickstart.json', which is no .NET assembly")]
    [InlineData("parts=[\"a\\u0000b\"]", "parts[0]: is 'a?b'; there is no such file")]
    [InlineData("parts=[\"\"]", "parts[0]: is '{folder}'; there is no such file")]
    [InlineData("parts=none.dll", "parts: is \"none.dll\"; expected a list [ … ]")]
    [InlineData("parts=[3]", "parts[0]: is 3; expected a text")]
    public void Assemblies_that_cannot_be_used_are_named(string setting, string message) => Assert.Equal(
        message.Replace("{folder}", Folder, StringComparison.Ordinal),
        Assert.Throws<RecipeException>(() => Recipe.Load(Path.Combine(Folder, "quickstart.json"), [setting])).Message);

    /// <summary>This assembly is one with parts.</summary>
    [Fact]
    public void A_recipe_names_an_assembly_whose_parts_it_uses_and_keeps_its_full_path()
    {
        var file = Path.GetFileName(typeof(RecipeTests).Assembly.Location);
        var recipe = Recipe.Load(
            Path.Combine(Folder, "quickstart.json"),
            ["model.decoder.norm=test-halved", $"parts=[\"../../{file}\"]", "model.decoder.norm.epsilon=0.5"]);
        Assert.Equal(new HalvedOptions(0.5f), ((EncoderDecoderOptions)recipe.Model).Decoder.Norm);
        Assert.Equal([typeof(RecipeTests).Assembly.Location], recipe.Parts);
        Assert.Equal(recipe.ToJson(), Recipe.Read(RecipeJson.Parse(recipe.ToJson(), "recipe.json"), folder: Path.GetTempPath()).ToJson());
    }

    [Part("test-halved")]
    public sealed record HalvedOptions(float Epsilon = 1e-3f) : NormOptions(Epsilon)
    {
        public override Norm Build(PartBuilder part) => new RmsNormOptions(Epsilon).Build(part);
    }
}
