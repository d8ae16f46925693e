using System.Text.Json;
using Tessera.Text.Tokenizers;

namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class TokenizeTests(TinyRun tiny)
{
    [Fact]
    public void A_text_is_encoded_and_its_ids_are_decoded()
    {
        var expected = Tokenizer.Load(tiny.In("run")).EncodeSequence("alpha beta");
        var line = Parse(tiny.Tessera("tokenize", "run", "alpha beta", "--json"));
        Assert.Equal(expected, line.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(expected.Length, line.GetProperty("tokens").GetArrayLength());
        var shown = tiny.Tessera("tokenize", "run", "alpha beta");
        Assert.Equal(string.Join(' ', expected), shown.Lines[^1].TrimEnd());
        var decoded = tiny.Tessera("tokenize", tiny.In("run", "tokenizer.json"), "--decode", string.Join(',', expected));
        Assert.Equal((0, "alpha beta"), (decoded.Code, decoded.Output.TrimEnd()));
        Assert.Contains("byte-pair encoding", tiny.Tessera("tokenize", "run").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Recorded_ids_are_compared_and_a_difference_is_an_exit_code()
    {
        var ids = string.Join(", ", Tokenizer.Load(tiny.In("run")).EncodeSequence("gamma"));
        var good = $$"""{"text": "gamma", "ids": [{{ids}}], "decoded": "gamma"}""" + "\n";
        tiny.Write("good.jsonl", good);
        tiny.Write("wrong.jsonl", good + """{"text": "gamma", "ids": [1]}""" + "\n");
        var (same, other) = (
            tiny.Tessera("tokenize", "run", "--verify", "good.jsonl"), tiny.Tessera("tokenize", "run", "--verify", "wrong.jsonl"));
        Assert.Equal((0, ""), (same.Code, same.Error));
        Assert.StartsWith("1 cases, 0 mismatches, ", same.Output, StringComparison.Ordinal);
        Assert.Equal((1, ""), (other.Code, other.Error));
        Assert.Contains(
            $"wrong.jsonl:2: ids {ids.Replace(",", "", StringComparison.Ordinal)}, expected 1", other.Output, StringComparison.Ordinal);
        var line = Parse(tiny.Tessera("tokenize", "run", "--verify", "good.jsonl", "--json"));
        Assert.Equal(0, line.GetProperty("mismatches").GetInt32());
        Assert.True(line.GetProperty("megabytesPerSecond").GetDouble() > 0);
    }

    [Theory]
    [InlineData("--decode has 'x'; allowed: ids from 0 to 299", "run", "--decode", "1 x")]
    [InlineData("--decode has '300'; allowed: ids from 0 to 299", "run", "--decode", "300")]
    [InlineData("a text, --decode and --verify exclude each other", "run", "text", "--decode", "1")]
    [InlineData("bad.jsonl:1 must be an object with a text and ids", "run", "--verify", "bad.jsonl")]
    [InlineData("bad.model: a number has more than 64 bits.", "bad.model")]
    public void What_is_wrong_is_said_in_one_line(string message, params string[] arguments)
    {
        tiny.Write("bad.jsonl", "{ \"text\": 3 }\n");
        File.WriteAllBytes(tiny.In("bad.model"), [.. Enumerable.Repeat((byte)0xFF, 12)]);
        var outcome = tiny.Tessera(["tokenize", .. arguments]);
        Assert.Equal((2, ""), (outcome.Code, outcome.Output));
        Assert.StartsWith($"tessera: {message}", outcome.Error, StringComparison.Ordinal);
        Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static JsonElement Parse(Outcome outcome)
    {
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        using var document = JsonDocument.Parse(Assert.Single(outcome.Lines));
        return document.RootElement.Clone();
    }
}
