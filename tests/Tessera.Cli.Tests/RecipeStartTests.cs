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
        Assert.Equal(
            2L * layers * (width + config.GetProperty("intermediate_size").GetInt32()), adapted.GetProperty("learning").GetInt64());
    }

    [SharedFact(Models)]
    public void What_training_refuses_at_once_is_not_called_valid()
    {
        Write();
        Assert.Equal((0, "start.json: valid\n"), (Check().Code, Check().Output));
        Refused("lora.targets[0]: is '*query*', which fits no weight", "lora={\"targets\":[\"*query*\"]}");
        Refused(
            "optimizer.rules[0].pattern: is 'nothing.*', which fits no parameter",
            "optimizer={\"kind\":\"adamw\",\"rules\":[{\"pattern\":\"nothing.*\"}]}");
        Refused("phases[0].rules: freezes all parameters", "phases[0].rules=[{\"pattern\":\"*\",\"learningRateFactor\":0}]");
        Refused("phases[0].losses.mtp: is no loss of this model; allowed: none", "phases[0].losses={\"mtp\":0.1}");
        Refused("tokenizer.file: is given with a start", "tokenizer={\"file\":\"tokenizer.json\"}");
        Assert.StartsWith(
            "tessera: tokenizer.vocabulary: is 300 with a start", Check("--set", "tokenizer.vocabulary=300").Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_loss_of_a_part_is_valid_and_that_of_another_is_not()
    {
        Assert.Equal(0, tiny.Tessera("recipe", "check", "tiny.json", "--set", "phases[0].losses={\"sequence-balance\":0.1}").Code);
        Assert.Equal(
            "tessera: phases[0].losses.mtp: is no loss of this model; allowed: balance, sequence-balance\n",
            tiny.Tessera("recipe", "check", "tiny.json", "--set", "phases[0].losses={\"mtp\":0.1}").Error);
    }

    [Fact]
    public void A_model_may_be_looked_at_to_see_which_losses_it_has()
    {
        var shown = tiny.Tessera("recipe", "show", "tiny.json", "--set", "phases[0].losses={\"mtp\":0.1}");
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        Assert.Contains("balance, sequence-balance", shown.Output, StringComparison.Ordinal);
        var trained = tiny.Tessera("train", "tiny.json", "--out", "unfit", "--set", "phases[0].losses={\"mtp\":0.1}");
        Assert.Equal("tessera: phases[0].losses.mtp: is no loss of this model; allowed: balance, sequence-balance\n", trained.Error);
        Assert.False(Path.Exists(tiny.In("unfit")));
    }

    [Fact]
    public void A_recipe_shows_what_each_phase_learns_and_by_which_optimizers_and_which_losses_there_are()
    {
        string[] settings =
        [
            "--set", "phases[0].objective={\"kind\":\"span-corruption\",\"maxSpans\":9}",
            "--set", "phases[0].length={\"from\":8,\"to\":40}",
            "--set", "optimizer={\"kind\":\"adamw\",\"rules\":[{\"pattern\":\"*norm*\",\"optimizer\":{\"kind\":\"nesterov\"}}]}",
        ];
        var text = tiny.Tessera(["recipe", "show", "tiny.json", .. settings]);
        Assert.Equal((0, ""), (text.Code, text.Error));
        Assert.Matches(@"losses +balance, sequence-balance\n", text.Output);
        Assert.Matches(@"measurements +expert-use\n", text.Output);
        Assert.Matches(@"phases\[0\] +train: span-corruption, length 8 to 40, source 40\n", text.Output);
        var shown = JsonDocument.Parse(tiny.Tessera(["recipe", "show", "tiny.json", "--json", .. settings]).Output).RootElement;
        Assert.Equal(["balance", "sequence-balance"], shown.GetProperty("losses").EnumerateArray().Select(loss => loss.GetString()));
        var optimizers = shown.GetProperty("optimizers").EnumerateArray().ToDictionary(group => group.GetProperty("kind").GetString()!,
            group => group.GetProperty("parameters").GetInt64());
        Assert.Equal(["adamw", "nesterov"], optimizers.Keys);
        Assert.Equal(4 * 16, optimizers["nesterov"]); // three norms of the layer and the last one
        Assert.Equal(shown.GetProperty("learning").GetInt64(), optimizers.Values.Sum());
        Assert.Equal("span-corruption", shown.GetProperty("phases")[0].GetProperty("objective").GetString());
    }

    [Theory]
    [InlineData("phases[0].objective.kind: is next-token; allowed for a model that reads a source: pairs, span-corruption",
        "phases[0].objective={\"kind\":\"next-token\"}")]
    [InlineData("tokenizer.vocabulary: is 300; allowed: at least 360, the bytes and 103 special tokens",
        "phases[0].objective={\"kind\":\"span-corruption\"}")]
    [InlineData("optimizer.rules[0].pattern: is '*.none', which fits no parameter",
        "optimizer={\"kind\":\"adamw\",\"rules\":[{\"pattern\":\"*.none\"}]}")]
    [InlineData("phases[0].length.from: is 1; allowed: 2 to 1048576", "phases[0].length={\"from\":1,\"to\":9}")]
    public void Show_check_and_train_refuse_a_recipe_in_the_same_words(string message, string setting)
    {
        string[][] commands = [["recipe", "show", "tiny.json"], ["recipe", "check", "tiny.json"], ["train", "tiny.json", "--out", "unfit"]];
        foreach (var command in commands)
        {
            var outcome = tiny.Tessera([.. command, "--set", setting]);
            Assert.Equal((2, ""), (outcome.Code, outcome.Output));
            Assert.StartsWith($"tessera: {message}", outcome.Error, StringComparison.Ordinal);
            Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
        }

        Assert.False(Path.Exists(tiny.In("unfit")));
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
