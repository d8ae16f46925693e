using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class ConvertTests(TinyRun tiny)
{
    private const string Models = "fixtures/gguf/models";

    [SharedFact(Models)]
    public void A_folder_becomes_a_file_that_is_inspected_and_run()
    {
        var converted = tiny.Tessera("convert", Source("qwen3"), "qwen3.gguf", "--type", "q8_0", "--progress");
        Assert.Equal((0, ""), (converted.Code, converted.Error));
        Assert.Contains("100 %", converted.Output, StringComparison.Ordinal);
        Assert.StartsWith("qwen3.gguf: gguf qwen3, 24 tensors, ", converted.Lines[^1], StringComparison.Ordinal);

        var line = Parse(tiny.Tessera("inspect", "qwen3.gguf", "--json", "--tensors"));
        Assert.Equal(
            ("gguf 3", "qwen3", false),
            (
                line.GetProperty("format").GetString(), line.GetProperty("architecture").GetString(),
                line.GetProperty("chatTemplate").GetBoolean()));
        Assert.Equal(320, line.GetProperty("tokenizer").GetProperty("tokens").GetInt32());
        Assert.Equal(24, line.GetProperty("tensors").GetArrayLength());
        Assert.Equal(
            line.GetProperty("parameters").GetInt64(),
            line.GetProperty("types").EnumerateArray().Sum(type => type.GetProperty("elements").GetInt64()));

        var generated = tiny.Tessera("generate", "qwen3.gguf", "The quick", "--max-tokens", "4", "--json");
        Assert.Equal((0, ""), (generated.Code, generated.Error));
        Assert.Equal(4, Parse(generated).GetProperty("tokens").GetInt32());

        var again = tiny.Tessera("convert", "qwen3.gguf", "qwen3-hf", "--type", "bf16", "--max-shard-size", "100KB", "--json");
        Assert.Equal((0, ""), (again.Code, again.Error));
        Assert.Equal("safetensors Qwen3ForCausalLM", JsonDocument.Parse(again.Lines[^1]).RootElement.GetProperty("format").GetString());
        Assert.True(Directory.GetFiles(tiny.In("qwen3-hf"), "model-*-of-*.safetensors").Length > 1);
        Assert.Contains("Qwen3ForCausalLM", tiny.Tessera("inspect", "qwen3-hf").Output, StringComparison.Ordinal);
    }

    [SharedFact(Models)]
    public void Converting_says_in_one_line_what_is_wrong()
    {
        var source = Source("llama");
        tiny.Write("there.gguf", "something");
        Complains("'there.gguf' is there already; use --force to replace it", "convert", source, "there.gguf");
        Complains("--type is 'q3_k'; allowed: f32, bf16, f16, q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0", "convert", source, "x.gguf", "--type", "q3_k");
        Complains(
            "--max-shard-size is '5 bananas'; allowed: a number above 0 with KB, MB or GB", "convert", source, "x", "--max-shard-size",
            "5 bananas");
        Complains(
            "a Hugging Face folder holds F32, BF16 or F16, not Q4_0; GGUF files can be quantized", "convert", source, "x", "--type",
            "q4_0");
        Complains(
            "'run' cannot be a GGUF file: it is an encoder-decoder with a head of tokens; allowed: decoders with a head of tokens",
            "convert", "run", "x.gguf");
        Complains("there is no model folder 'nowhere'", "convert", "nowhere", "x.gguf");
        Assert.False(Path.Exists(tiny.In("x")) || Path.Exists(tiny.In("x.gguf")));
    }

    [SharedFact(Models)]
    public void Inspecting_damaged_files_says_in_one_line_what_is_wrong()
    {
        var path = Path.Combine(Fixture.Shared(Models)!, "llama", "f32.gguf");
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(tiny.In("cut.gguf"), bytes[..(bytes.Length / 2)]);
        var cut = tiny.Tessera("inspect", "cut.gguf");
        Assert.Equal((2, "", 1), (cut.Code, cut.Output, cut.Error.Count(character => character == '\n')));
        Assert.StartsWith("tessera: cut.gguf: tensor '", cut.Error, StringComparison.Ordinal);
        tiny.Write("no.safetensors", "nothing");
        Assert.Equal(2, tiny.Tessera("inspect", "no.safetensors").Code);
        Assert.Equal(2, tiny.Tessera("inspect", "nowhere").Code);
    }

    [Fact]
    public void A_run_of_ours_and_its_file_of_weights_are_inspected()
    {
        var run = tiny.Tessera("inspect", "run");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains("encoder-decoder", run.Output, StringComparison.Ordinal);
        Assert.Contains("byte-pair encoding, 300 tokens", run.Output, StringComparison.Ordinal);
        var weights = Parse(tiny.Tessera("inspect", Path.Combine("run", "model.safetensors"), "--json"));
        Assert.Equal("safetensors", weights.GetProperty("format").GetString());
        Assert.Equal("F32", weights.GetProperty("types")[0].GetProperty("type").GetString());
    }

    private static string Source(string name) => Path.Combine(Fixture.Shared(Models)!, name, "hf");

    private static JsonElement Parse(Outcome outcome)
    {
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        return JsonDocument.Parse(outcome.Lines[^1]).RootElement;
    }

    private void Complains(string message, params string[] arguments)
    {
        var outcome = tiny.Tessera(arguments);
        Assert.Equal((2, $"tessera: {message}\n", ""), (outcome.Code, outcome.Error, outcome.Output));
    }
}
