using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>
/// Small tokenizers of the kinds that published families have, against what Hugging Face's library gives; see
/// <c>tests/Fixtures/make_kinds.mjs</c>.
/// </summary>
public class KindAgreementTests
{
    /// <summary>Every folder of the fixtures.</summary>
    public static TheoryData<string> Kinds =>
        [.. Directory.GetDirectories(Fixture.Local("kinds")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    /// <summary>Every expression of the fixtures.</summary>
    public static TheoryData<string> Expressions => [.. Lines().Skip(1).Select(line => Member(line, "pattern").GetString()!)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Tokenizers_of_published_families_give_the_ids_and_texts_of_the_reference(string kind)
    {
        var file = Fixture.Local($"kinds/{kind}/tokenizer.json");
        Agrees(kind, Tokenizer.Load(file));
        using var folder = new TemporaryFolder();
        Tokenizer.Load(file).Save(folder.Path);
        Agrees(kind, Tokenizer.Load(folder.Path));
    }

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Regular_expressions_cut_as_the_reference_does(string expression)
    {
        var lines = Lines().ToArray();
        var texts = Member(lines[0], "texts").EnumerateArray().Select(text => text.GetString()!).ToArray();
        var line = lines.Skip(1).First(line => Member(line, "pattern").GetString() == expression);
        using var document = JsonDocument.Parse(line);
        if (document.RootElement.TryGetProperty("error", out _))
        {
            Assert.Throws<ArgumentException>(() => new SplitPreTokenizer(expression));
            return;
        }

        var splitter = new SplitPreTokenizer(expression);
        var cuts = document.RootElement.GetProperty("cuts").EnumerateArray().ToArray();
        for (var i = 0; i < texts.Length; i++)
        {
            var pieces = new List<Piece>();
            splitter.Cut(texts[i], 0, pieces);
            Assert.Equal(
                cuts[i].EnumerateArray().Select(piece => piece.GetString()),
                pieces.Select(piece => texts[i].Substring(piece.Start, piece.Length)));
        }
    }

    private static void Agrees(string kind, Tokenizer tokenizer)
    {
        var wrong = new List<string>();
        foreach (var line in File.ReadLines(Fixture.Local($"kinds/{kind}/cases.jsonl")))
        {
            var (text, ids, decoded) = (Member(line, "text").GetString()!, Member(line, "ids"), Member(line, "decoded").GetString());
            int[] expected = [.. ids.EnumerateArray().Select(id => id.GetInt32())];
            var (given, back) = (tokenizer.EncodeSequence(text), tokenizer.Decode(expected));
            if (!expected.AsSpan().SequenceEqual(given))
                wrong.Add($"{line}: {string.Join(' ', given)}: {string.Join('|', given.Select(tokenizer.TokenText))}");
            if (back != decoded) wrong.Add($"{line}: {JsonSerializer.Serialize(back)}");
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} differ\n{string.Join('\n', wrong.Take(6))}");
    }

    private static IEnumerable<string> Lines() => File.ReadLines(Fixture.Local("kinds/expressions.jsonl"));

    private static JsonElement Member(string line, string name)
    {
        using var document = JsonDocument.Parse(line);
        return document.RootElement.GetProperty(name).Clone();
    }
}
