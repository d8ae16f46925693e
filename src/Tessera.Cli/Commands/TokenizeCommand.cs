using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Tessera.Cli.Terminal;
using Tessera.Models.Formats.Gguf;
using Tessera.Text.Tokenizers;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera tokenize FILE "text"</c>.</summary>
internal static class TokenizeCommand
{
    private const int Mismatch = 1;
    private const int MismatchesShown = 10;
    private static readonly TimeSpan s_measured = TimeSpan.FromSeconds(0.5);

    public static Command Create()
    {
        var file = new Argument<string>("file")
        {
            Description = "A tokenizer.json, tokenizer.model or .gguf file, or a folder that holds one of the first two.",
        };
        var text = new Argument<string?>("text")
        {
            Description = "What to encode; without it, what the tokenizer is.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var decode = new Option<string?>("--decode") { Description = "Ids to decode, with blanks or commas between." };
        var verify = new Option<string?>("--verify")
        {
            Description =
                "A file of lines {\"text\": …, \"ids\": […], \"decoded\": …}: compare each, and "
                + "measure the speed of encoding them again and again for half a second. Exit code 1 where one differs.",
        };
        var json = CommonOptions.Json();
        var command = new Command("tokenize", CommonOptions.WithExamples(
            "Encodes and decodes text with a tokenizer, or compares it with recorded ids.",
            "tessera tokenize runs/quickstart \"Hello world\"",
            "tessera tokenize llama.gguf --decode \"1 15043 3186\"",
            "tessera tokenize tokenizer.model --verify cases.jsonl")) { file, text, decode, verify, json };
        command.SetAction(parsed =>
        {
            var screen = new Screen(parsed.GetValue(json));
            var (given, ids, cases) = (parsed.GetValue(text), parsed.GetValue(decode), parsed.GetValue(verify));
            if ((given is null ? 0 : 1) + (ids is null ? 0 : 1) + (cases is null ? 0 : 1) > 1)
                throw new ArgumentException("a text, --decode and --verify exclude each other");
            var tokenizer = Load(parsed.GetRequiredValue(file));
            if (cases is not null) return Verify(tokenizer, cases, screen);
            if (ids is not null) Decode(tokenizer, ids, screen);
            else if (given is not null) Encode(tokenizer, given, screen);
            else Describe(tokenizer, screen);
            return CommandRunner.Success;
        });
        return command;
    }

    private static Tokenizer Load(string path)
    {
        if (!path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return Tokenizer.Load(path);
        using var file = GgufFile.Open(path);
        return GgufTokenizer.Read(file);
    }

    private static void Describe(Tokenizer tokenizer, Screen screen)
    {
        var model = tokenizer.ModelName;
        screen.Json(
            new
            {
                model,
                tokenizer.VocabularySize,
                tokenizer.PaddingId,
                tokenizer.BeginId,
                tokenizer.EndId,
                added = tokenizer.AddedTokens.Count,
            });
        screen.Line($"model       {model}");
        screen.Line($"vocabulary  {tokenizer.VocabularySize} tokens, {tokenizer.AddedTokens.Count} of them added");
        foreach (
            var (name, id) in ((string, int?)[])[("padding", tokenizer.PaddingId), ("begin", tokenizer.BeginId), ("end", tokenizer.EndId)])
            if (id is { } known) screen.Line($"{name,-10}  {known} {tokenizer.TokenText(known)}");
    }

    private static void Encode(Tokenizer tokenizer, string text, Screen screen)
    {
        var ids = tokenizer.EncodeSequence(text);
        var tokens = ids.Select(tokenizer.TokenText).ToArray();
        screen.Json(
            new
            {
                text,
                ids,
                tokens,
            });
        screen.Table(
            ["id", "token"], ids.Select((id, i) => (IReadOnlyList<string>)[id.ToString(CultureInfo.InvariantCulture), tokens[i]]),
            textColumns: 2);
        screen.Line(string.Join(' ', ids));
    }

    private static void Decode(Tokenizer tokenizer, string list, Screen screen)
    {
        var ids = list.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries)
            .Select(word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id < tokenizer.VocabularySize
                ? id
                : throw new ArgumentException($"--decode has '{word}'; allowed: ids from 0 to {tokenizer.VocabularySize - 1}"))
            .ToArray();
        var text = tokenizer.Decode(ids);
        screen.Json(new { ids, text });
        screen.Line(text);
    }

    private static int Verify(Tokenizer tokenizer, string path, Screen screen)
    {
        var cases = File.ReadLines(path).Select((line, index) => ReadCase($"{path}:{index + 1}", line)).ToArray();
        if (cases.Length == 0) throw new InvalidDataException($"{path} has no lines");
        var mismatches = 0;
        foreach (var (place, text, ids, decoded) in cases)
        {
            var (given, back) = (tokenizer.EncodeSequence(text), tokenizer.Decode(ids));
            var same = given.AsSpan().SequenceEqual(ids);
            if (same && (decoded is null || decoded == back)) continue;
            if (++mismatches > MismatchesShown) continue;
            screen.Json(
                new
                {
                    place,
                    text,
                    expected = ids,
                    given,
                    decodedExpected = decoded,
                    decoded = back,
                });
            screen.Line(
                same
                    ? $"{place}: decoded '{back}', expected '{decoded}'"
                    : $"{place}: ids {string.Join(' ', given)}, expected {string.Join(' ', ids)}");
        }

        var speed = MegabytesPerSecond(tokenizer, [.. cases.Select(one => one.Text)]);
        screen.Json(new { cases = cases.Length, mismatches, megabytesPerSecond = Math.Round(speed, 2) });
        screen.Line($"{cases.Length} cases, {mismatches} mismatches, {speed:F2} MB/s");
        return mismatches == 0 ? CommandRunner.Success : Mismatch;
    }

    private static (string Place, string Text, int[] Ids, string? Decoded) ReadCase(string place, string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var row = document.RootElement;
            var ids = row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            return (
                place, row.GetProperty("text").GetString() ?? "", ids,
                row.TryGetProperty("decoded", out var decoded) ? decoded.GetString() : null);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            var reason = error is KeyNotFoundException ? "one of the two is missing" : error.Message;
            throw new InvalidDataException($"{place} must be an object with a text and ids: {reason}", error);
        }
    }

    private static double MegabytesPerSecond(Tokenizer tokenizer, string[] texts)
    {
        var bytes = texts.Sum(text => (long)Encoding.UTF8.GetByteCount(text));
        var ids = new List<int>();
        var watch = Stopwatch.StartNew();
        var rounds = 0;
        for (; watch.Elapsed < s_measured; rounds++)
        {
            foreach (var text in texts)
            {
                ids.Clear();
                tokenizer.Encode(text, ids);
            }
        }

        return bytes * rounds / watch.Elapsed.TotalSeconds / 1e6;
    }
}
