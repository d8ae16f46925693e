using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Cli.Tests;

public sealed class VerifyTests
{
    private const string Published = "fixtures/hf";
    private const string WithTokenizer = "fixtures/gguf/models/llama/hf";

    [SharedFact(Published)]
    public void Published_checkpoints_are_equal_and_the_exit_code_says_so()
    {
        var folders = new[] { "llama", "qwen3-sharded-bf16" }.Select(name => Fixture.Shared($"{Published}/{name}")!).ToArray();
        var found = TesseraProcess.Run(AppContext.BaseDirectory, ["verify", .. folders]);
        Assert.Equal((0, ""), (found.Code, found.Error));
        Assert.Contains("32/32", found.Output, StringComparison.Ordinal);
        Assert.Contains("2 verified", found.Output, StringComparison.Ordinal);
    }

    [SharedFact(Published)]
    public void A_difference_above_the_tolerance_is_an_exit_code()
    {
        var found = TesseraProcess.Run(
            AppContext.BaseDirectory, ["verify", Fixture.Shared($"{Published}/llama")!, "--tolerance", "1e-9", "--json"]);
        Assert.Equal(1, found.Code);
        var one = JsonDocument.Parse(found.Lines[0]).RootElement;
        Assert.Equal(("llama", false), (one.GetProperty("case").GetString(), one.GetProperty("passes").GetBoolean()));
        Assert.InRange(one.GetProperty("result").GetProperty("logits").GetDouble(), 1e-9, 5e-5);
        Assert.Equal(32, one.GetProperty("result").GetProperty("greedyEqual").GetInt32());
        Assert.Equal(1, JsonDocument.Parse(found.Lines[1]).RootElement.GetProperty("failed").GetInt32());
    }

    [SharedFact(Published)]
    public void A_bad_folder_is_one_line_and_the_others_are_still_verified()
    {
        var found = TesseraProcess.Run(AppContext.BaseDirectory, ["verify", "nowhere", Fixture.Shared($"{Published}/gpt2")!]);
        Assert.Equal(1, found.Code);
        Assert.Equal("tessera: there is no model folder 'nowhere'", found.Error.TrimEnd());
        Assert.Contains("gpt2", found.Output, StringComparison.Ordinal);
        Assert.Contains("1 of 2 failed", found.Output, StringComparison.Ordinal);
    }

    [SharedFact(Published)]
    public void A_model_that_was_rounded_is_told_what_difference_to_expect()
    {
        var folder = Directory.CreateTempSubdirectory("tessera-verify").FullName;
        try
        {
            var original = Fixture.Shared($"{Published}/llama")!;
            var rounded = Path.Combine(folder, "rounded");
            Assert.Equal(0, TesseraProcess.Run(folder, ["convert", original, rounded, "--type", "bf16"]).Code);
            File.Copy(Path.Combine(original, "expected.safetensors"), Path.Combine(rounded, "expected.safetensors"));
            var found = TesseraProcess.Run(folder, ["verify", "rounded"]);
            Assert.Equal(1, found.Code);
            var note = Assert.Single(found.Lines, line => line.StartsWith("rounded: its logits differ by", StringComparison.Ordinal));
            Assert.Contains("0.4 % (bf16, q8_0)", note, StringComparison.Ordinal);
            var asJson = TesseraProcess.Run(folder, ["verify", "rounded", "--json"]);
            var row = JsonDocument.Parse(asJson.Lines[0]).RootElement.GetProperty("result");
            var share = row.GetProperty("logits").GetDouble() / row.GetProperty("largestLogit").GetDouble();
            Assert.InRange(share, 1e-4, 1.0 / 256 * 4); // u = 2⁻⁸, grown by a few maps
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Folders_and_tolerances_are_checked()
    {
        Assert.Equal(2, TesseraProcess.Run(AppContext.BaseDirectory, ["verify"]).Code);
        Assert.Contains(
            "--tolerance is 0; allowed: greater than 0",
            TesseraProcess.Run(AppContext.BaseDirectory, ["verify", "x", "--tolerance", "0"]).Error, StringComparison.Ordinal);
    }

    [SharedFact(WithTokenizer)]
    public void A_folder_of_the_hub_goes_on_with_a_text()
    {
        var folder = Fixture.Shared(WithTokenizer)!;
        var found = TesseraProcess.Run(
            AppContext.BaseDirectory, ["generate", folder, "Hello, world!", "--max-tokens", "5", "--min-tokens", "5", "--json"]);
        Assert.Equal((0, ""), (found.Code, found.Error));
        var row = JsonDocument.Parse(found.Lines[0]).RootElement;
        Assert.Equal((5, "length"), (row.GetProperty("tokens").GetInt32(), row.GetProperty("finishReason").GetString()));
        var chat = TesseraProcess.Run(AppContext.BaseDirectory, ["generate", folder, "Hello", "--chat"]);
        Assert.Equal((2, "tessera: this model has no chat template"), (chat.Code, chat.Error.TrimEnd()));
        var none = TesseraProcess.Run(AppContext.BaseDirectory, ["generate", Fixture.Shared($"{Published}/llama")!, "Hello"]);
        Assert.Equal(
            (2, "tessera: the model has no tokenizer: its folder has neither tokenizer.json nor tokenizer.model"),
            (none.Code, none.Error.TrimEnd()));
    }
}
