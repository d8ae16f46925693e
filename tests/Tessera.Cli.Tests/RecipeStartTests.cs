using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Cli.Tests;

/// <summary>What is said of a recipe before it trains agrees with what training says.</summary>
[Collection(TinyRunCollection.Name)]
public sealed class RecipeStartTests(TinyRun tiny)
{
    private const string Models = "fixtures/gguf/models";

    [SharedFact(Models)]
    public void A_recipe_with_a_start_shows_the_starts_parameters_and_which_learn()
    {
        Write();
        var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(Start, "config.json"))).RootElement;
        var whole = Shown();
        Assert.Equal(config.GetProperty("vocab_size").GetInt32(), whole.GetProperty("vocabulary").GetInt32());
        Assert.Equal(Parameters(), whole.GetProperty("parameters").GetInt64());
        Assert.Equal(Parameters(), whole.GetProperty("learning").GetInt64());

        var (width, layers) = (config.GetProperty("hidden_size").GetInt32(), config.GetProperty("num_hidden_layers").GetInt32());
        var adapted = Shown("--set", "lora={\"rank\":2,\"targets\":[\"*.up_proj\"]}");
        Assert.Equal(Parameters(), adapted.GetProperty("parameters").GetInt64());
        Assert.Equal(2L * layers * (width + config.GetProperty("intermediate_size").GetInt32()), adapted.GetProperty("learning").GetInt64());
    }

    [SharedFact(Models)]
    public void What_training_refuses_at_once_is_not_called_valid()
    {
        Write();
        Assert.Equal((0, "start.json: valid\n"), (Check().Code, Check().Output));
        Refused("lora.targets[0]: is '*query*', which fits no weight", "lora={\"targets\":[\"*query*\"]}");
        Refused("optimizer.rules[0].pattern: is 'nothing.*', which fits no parameter", "optimizer={\"kind\":\"adamw\",\"rules\":[{\"pattern\":\"nothing.*\"}]}");
        Refused("phases[0].rules: freezes all parameters", "phases[0].rules=[{\"pattern\":\"*\",\"learningRateFactor\":0}]");
        Refused("phases[0].losses.mtp: is no loss of this model; allowed: none", "phases[0].losses={\"mtp\":0.1}");
        Refused("tokenizer.file: is given with a start", "tokenizer={\"file\":\"tokenizer.json\"}");
        Assert.StartsWith("tessera: tokenizer.vocabulary: is 300 with a start", Check("--set", "tokenizer.vocabulary=300").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_loss_of_a_part_is_valid_and_that_of_another_is_not()
    {
        Assert.Equal(0, tiny.Tessera("recipe", "check", "tiny.json", "--set", "phases[0].losses={\"sequence-balance\":0.1}").Code);
        Assert.Equal(
            "tessera: phases[0].losses.mtp: is no loss of this model; allowed: balance, sequence-balance\n",
            tiny.Tessera("recipe", "check", "tiny.json", "--set", "phases[0].losses={\"mtp\":0.1}").Error);
    }

    private static string Start => Path.Combine(Fixture.Shared(Models)!, "llama", "hf");

    private void Write() => tiny.Write("start.json", $$"""
        {
          "name": "start", "start": {{JsonSerializer.Serialize(Start)}},
          "data": { "kind": "parallel-files", "trainSource": "sources.txt", "trainTarget": "targets.txt" },
          "batches": { "length": 40 },
          "phases": [{ "steps": 1 }]
        }
        """);

    private Outcome Check(params string[] arguments) => tiny.Tessera(["recipe", "check", "start.json", .. arguments]);

    private JsonElement Shown(params string[] arguments)
    {
        var shown = tiny.Tessera(["recipe", "show", "start.json", "--json", .. arguments]);
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        return JsonDocument.Parse(shown.Output).RootElement;
    }

    /// <summary>Both commands complain, and in the same words.</summary>
    private void Refused(string message, string setting)
    {
        var check = Check("--set", setting);
        Assert.Equal(2, check.Code);
        Assert.StartsWith($"tessera: {message}", check.Error, StringComparison.Ordinal);
        Assert.Equal(tiny.Tessera("train", "start.json", "--out", "refused", "--set", setting).Error, check.Error);
        if (Path.Exists(tiny.In("refused"))) Directory.Delete(tiny.In("refused"), recursive: true);
    }

    /// <summary>The elements that the checkpoint's header counts.</summary>
    private static long Parameters()
    {
        using var reader = new BinaryReader(File.OpenRead(Path.Combine(Start, "model.safetensors")));
        var header = JsonDocument.Parse(reader.ReadBytes((int)reader.ReadInt64())).RootElement;
        return header.EnumerateObject().Where(tensor => tensor.Name != "__metadata__")
            .Sum(tensor => tensor.Value.GetProperty("shape").EnumerateArray().Aggregate(1L, (product, size) => product * size.GetInt64()));
    }
}
