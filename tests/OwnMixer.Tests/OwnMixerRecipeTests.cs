using Tessera.Cli.Tests;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Models.Conversion;
using Tessera.Tensors;
using Tessera.Training;

namespace OwnMixer.Tests;

/// <summary>The sample's recipe, with a text of its own: what a user of the assembly does.</summary>
public sealed class OwnMixerRecipeTests : IDisposable
{
    private static readonly string s_assembly = typeof(MinGru).Assembly.Location;
    private readonly string _folder = Directory.CreateTempSubdirectory("own-mixer").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_recipe_trains_and_its_model_streams_what_it_generates()
    {
        var losses = Train(steps: 30);
        Assert.True(losses[^1] < 0.8 * losses[0], $"the loss fell from {losses[0]} to {losses[^1]} only");

        var model = LanguageModel.Load(In("run"));
        var options = new SamplingOptions(Seed: 5) { MinNewTokens = 10, MaxNewTokens = 10 };
        var streamed = "";
        await foreach (var piece in model.StreamAsync("the tile", options)) streamed += piece;
        Assert.Equal(model.Generate("the tile", options), streamed);
        Assert.NotEmpty(streamed);
    }

    [Fact]
    public void The_family_writes_a_folder_and_reads_it_as_the_same_model()
    {
        OwnParts.Register(); // as a program does; to do so twice changes nothing
        Train(steps: 2);
        ModelConversion.Convert(In("run"), In("published"), new ConversionOptions());
        var config = File.ReadAllText(In("published", "config.json"));
        Assert.Contains("\"model_type\": \"min_gru\"", config, StringComparison.Ordinal);
        var (own, published) = (ModelFolder.Load(In("run")), ModelFolder.Load(In("published")));
        Assert.IsType<MinGruFamily>(published.Family);
        using var scope = Arena.Current.Scope();
        Assert.Equal(Logits(own.Model), Logits(published.Model));

        var damaged = config.Replace("\"state_size\": 192", "\"state_size\": 0", StringComparison.Ordinal);
        File.WriteAllText(In("published", "config.json"), damaged);
        var error = Assert.Throws<InvalidDataException>(() => ModelFolder.Load(In("published")));
        Assert.Equal($"{In("published", "config.json")}: state_size is 0; allowed: 1 or above", error.Message);
    }

    [Fact]
    public void The_catalogue_and_the_command_line_know_the_mixer()
    {
        var catalogue = TesseraProcess.Run(_folder, ["recipe", "parts", "--parts", s_assembly]);
        Assert.Equal((0, ""), (catalogue.Code, catalogue.Error));
        Assert.Contains("### `min-gru`", catalogue.Output, StringComparison.Ordinal);
        Assert.Contains("A gated recurrent unit whose gate reads the input alone", catalogue.Output, StringComparison.Ordinal);
        Assert.Contains(
            "| `hidden` | `null` | Hidden units, 1 to 1,048,576; as the width unless said. |", catalogue.Output, StringComparison.Ordinal);

        Prepare();
        string[] own = ["--parts", s_assembly, "--set", "parts=[]", "--set", "data.path=text"];
        string[] swap = ["--set", "model.decoder.layers=2 x min-gru, lstm"];
        var mixed = TesseraProcess.Run(_folder, ["recipe", "check", "recipe.json", .. own, .. swap]);
        Assert.Equal((0, ""), (mixed.Code, mixed.Error));
    }

    private static float[] Logits(SequenceModel model)
    {
        var (inputs, positions) = (Tensor.From([5, 300, 7, 261], [1, 4]), Batch.PositionsFromStart(1, 4));
        return model.Logits(Batch.Of(inputs, inputs, positions), Tessera.Nn.ForwardContext.At(positions)).ToArray();
    }

    private List<double> Train(int steps)
    {
        Prepare();
        var parts = System.Text.Json.JsonSerializer.Serialize(new[] { s_assembly });
        var recipe = Recipe.Load(
            In("recipe.json"),
            [
                $"parts={parts}", "data.path=text", $"phases[0].steps={steps}", "tokenizer.vocabulary=320", "batches.tokens=256",
                "batches.length=32",
            ]);
        var losses = new List<double>();
        Trainer.Run(recipe, In("run"), happened => losses.AddRange(happened is StepDone done ? [done.Loss] : []), _folder);
        return losses;
    }

    /// <summary>The recipe as it stands in the sample, and a folder of text.</summary>
    private void Prepare()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "recipe.json"), In("recipe.json"));
        Directory.CreateDirectory(In("text"));
        string[] words = ["the tile", "a mosaic", "lies", "stands", "beside", "below", "the wall", "a door"];
        var random = new Random(1);
        for (var file = 0; file < 20; file++)
        {
            var lines = Enumerable.Range(0, 20).Select(_ => string.Join(' ', random.GetItems(words, 6)) + ".");
            File.WriteAllText(In("text", $"{file}.md"), string.Join('\n', lines));
        }
    }

    private string In(params string[] path) => Path.Combine([_folder, .. path]);
}
