using System.Text.Json;
using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Cli.Tests;

/// <summary>A model trained as the README shows, converted, tuned as a GGUF file, and merged.</summary>
public sealed class AdapterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-adapter").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_readmes_model_leaves_as_a_folder_and_as_a_file_and_is_tuned_and_merged()
    {
        TrainNotes();
        var folder = Run("convert", "runs/notes", "notes-hf");
        Assert.Contains("note: the scale of embeddings, 16, is multiplied into the tables, of which the tied one becomes two\n", folder.Output, StringComparison.Ordinal);
        Assert.Contains("notes-hf: safetensors LlamaForCausalLM, ", folder.Output, StringComparison.Ordinal);
        Run("convert", "notes-hf", "notes.gguf");
        var said = Generate("runs/notes");
        Assert.Equal(said, Generate("notes-hf"));

        File.WriteAllText(Path.Combine(_folder, "tuned.json"), """
            {
              "name": "tuned", "start": "notes.gguf", "lora": { "rank": 4 }, "data": { "kind": "text", "path": "docs" },
              "batches": { "tokens": 64, "length": 32 }, "phases": [{ "steps": 10, "learningRate": 0.5, "schedule": { "kind": "constant", "warmupSteps": 1 } }]
            }
            """);
        Run("train", "tuned.json", "--out", "tuned");
        var inspected = JsonDocument.Parse(Run("inspect", "tuned", "--json").Lines[^1]).RootElement;
        Assert.Equal("PEFT", inspected.GetProperty("format").GetString());
        var config = inspected.GetProperty("config");
        Assert.Equal(
            ("../notes.gguf", "4", "4", "8", "q_proj, v_proj"),
            (Text("base"), Text("rank"), Text("factor"), Text("adapters"), Text("targets")));

        var tuned = Generate("tuned");
        Assert.NotEqual(said, tuned);
        Assert.Equal(said, Generate("tuned", "--no-adapter"));
        Assert.Equal(tuned, Generate("notes-hf", "--adapter", "tuned"));
        foreach (var merged in (string[])["merged.gguf", "merged"])
        {
            Assert.StartsWith("8 adapters added to ", Run("merge", "tuned", "--out", merged).Lines[^1], StringComparison.Ordinal);
            Assert.Equal(tuned, Generate(merged));
        }

        Assert.Equal(2, TesseraProcess.Run(_folder, ["merge", "tuned", "--out", "merged.gguf"]).Code);
        Assert.Contains("has no adapters", TesseraProcess.Run(_folder, ["generate", "notes.gguf", "x", "--no-adapter"]).Error, StringComparison.Ordinal);

        SaveAdapterOfTheTiedHead();
        var refused = TesseraProcess.Run(_folder, ["merge", "tied", "--out", "tied-merged"]);
        Assert.Equal(2, refused.Code);
        Assert.Equal(
            "tessera: 'tied' cannot be merged: 'lm_head' shares its weights with 'embed_tokens', which would change too; "
            + "adapters of tied weights cannot be merged\n",
            refused.Error);

        string? Text(string key) => config.GetProperty(key).GetString();
    }

    /// <summary>As PEFT allows it, and recipes do not.</summary>
    private void SaveAdapterOfTheTiedHead()
    {
        var (model, options) = (ModelFolder.Load(Path.Combine(_folder, "runs/notes")), new LoraOptions { Rank = 2, Targets = ["lm_head"] });
        var adapters = LoraAdapters.Attach(model.Model, options, new CounterRandom(1));
        PeftAdapter.Save(Path.Combine(_folder, "tied"), adapters, options, model.Model, model.NamesOf(adapters), "../runs/notes");
        model.Close();
    }

    /// <summary>The recipe as it stands in the README, with less to do.</summary>
    private void TrainNotes()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "docs"));
        var words = new Random(1);
        for (var file = 0; file < 10; file++)
        {
            var lines = Enumerable.Range(0, 40).Select(line => $"Line {line} of note {file} says {words.Next(100_000)} and {words.Next(100_000)}.");
            File.WriteAllText(Path.Combine(_folder, "docs", $"{file}.md"), string.Join('\n', lines));
        }

        var readme = File.ReadAllText(Path.Combine(Root(), "README.md"));
        var start = readme.IndexOf("    {\n      \"name\": \"notes\"", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(_folder, "notes.json"), readme[start..(readme.IndexOf("\n    }\n", start, StringComparison.Ordinal) + 7)]);
        Run("train", "notes.json", "--set", "tokenizer.vocabulary=300", "--set", "phases[0].minutes=0.02", "--set", "batches.tokens=256", "--set", "batches.length=64");
    }

    private string Generate(params string[] arguments) => Run(["generate", .. arguments, "Line 7 of", "--max-tokens", "8"]).Output;

    private Outcome Run(params string[] arguments)
    {
        var outcome = TesseraProcess.Run(_folder, arguments);
        Assert.True(outcome.Code == 0, outcome.Error);
        return outcome;
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "CONTRIBUTING.md"))) folder = folder.Parent!;
        return folder.FullName;
    }
}
