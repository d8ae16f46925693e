using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Text.Unicode;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>
/// Decoding written down from what Hugging Face's library and sentencepiece say of it, over the list of all tokens at once: a
/// decoder of <c>tokenizer.json</c> maps a list of texts to a list of texts.
/// </summary>
internal static class WholeTextDecoding
{
    private const string Blank = "▁", Replacement = "\uFFFD";

    private static readonly Dictionary<char, byte> s_alphabet =
        Enumerable.Range(0, 256).ToDictionary(value => Letter((byte)value), value => (byte)value);

    /// <summary>The text that tokens stand for.</summary>
    /// <param name="decoder">The <c>decoder</c> of a file; JSON's null where there is none.</param>
    /// <param name="tokens">Without those that are left out.</param>
    public static string Decode(JsonElement decoder, IEnumerable<string> tokens) =>
        decoder.ValueKind == JsonValueKind.Null ? string.Join(' ', tokens) : string.Concat(Apply(decoder, [.. tokens]));

    /// <summary>The text of pieces as sentencepiece joins them.</summary>
    /// <param name="tokens">Without control symbols.</param>
    /// <param name="unknown">Its unknown piece, which is written <c> ⁇ </c>.</param>
    /// <param name="trimsStart">Whether a blank at the beginning goes.</param>
    /// <param name="trimsAll">Whether all pieces that begin with one lose it, until there is text.</param>
    public static string SentencePiece(IEnumerable<string> tokens, string unknown, bool trimsStart, bool trimsAll)
    {
        var text = "";
        var left = trimsStart ? trimsAll ? int.MaxValue : 1 : 0;
        foreach (var (token, run) in Runs(tokens))
        {
            text += string.Concat(OneByOne(run));
            if (token is null) continue;
            if (token == unknown)
            {
                text += " ⁇ ";
                continue;
            }

            var trims = left > 0 && text.Length == 0 && token.StartsWith('▁');
            if (trims) left--;
            text += (trims ? token[1..] : token).Replace('▁', ' ');
        }

        return text;
    }

    private static string[] Apply(JsonElement decoder, string[] tokens)
    {
        string Member(string name) => decoder.GetProperty(name).GetString()!;
        switch (Member("type"))
        {
            case "Sequence":
                return decoder.GetProperty("decoders").EnumerateArray().Aggregate(tokens, (texts, step) => Apply(step, texts));
            case "ByteLevel":
                return [Encoding.UTF8.GetString([.. tokens.SelectMany(Bytes)])];
            case "Fuse":
                return [string.Concat(tokens)];
            case "Replace":
                var pattern = decoder.GetProperty("pattern");
                var isLiteral = pattern.TryGetProperty("String", out var literal);
                var expression = isLiteral ? Regex.Escape(literal.GetString()!) : pattern.GetProperty("Regex").GetString()!;
                var content = Member("content");
                return [.. tokens.Select(token => Regex.Replace(token, expression, _ => content))];
            case "ByteFallback":
                return [.. Runs(tokens).SelectMany(part => OneByOne(part.Bytes).Append(part.Token)).OfType<string>()];
            case "Strip":
                var (start, stop) = (decoder.GetProperty("start").GetInt32(), decoder.GetProperty("stop").GetInt32());
                var sought = Regex.Escape(Member("content"));
                string[] begun = [.. tokens.Select(token => Regex.Replace(token, $"^(?:{sought}){{0,{start}}}", ""))];
                return [.. begun.Select(token => Regex.Replace(token, $"(?:{sought}){{0,{stop}}}\\z", "", RegexOptions.RightToLeft))];
            case "Metaspace":
                var first = Member("prepend_scheme") == "never" ? " " : "";
                return [.. tokens.Select((token, i) => token.Replace(Blank, i == 0 ? first : " ", StringComparison.Ordinal))];
            case "WordPiece":
                var cleansUp = decoder.GetProperty("cleanup").GetBoolean();
                return [.. tokens.Select((token, i) => WordPiece(token, i == 0, Member("prefix"), cleansUp))];
            case "BPEDecoder":
                var last = tokens.Length - 1;
                return [.. tokens.Select((token, i) => token.Replace(Member("suffix"), i == last ? "" : " ", StringComparison.Ordinal))];
            default:
                throw new ArgumentException($"no decoder '{Member("type")}'");
        }
    }

    private static string WordPiece(string token, bool isFirst, string prefix, bool cleansUp)
    {
        if (!isFirst) token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        if (!cleansUp) return token;
        (string Written, string Meant)[] rules =
            [(" ([.?!,])", "$1"), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" '(s|ve|re)", "'$1")];
        return rules.Aggregate(token, (text, rule) => Regex.Replace(text, rule.Written, rule.Meant));
    }

    /// <summary>Each token that is no byte with the bytes before it; at last those that no token follows.</summary>
    private static List<(string? Token, byte[] Bytes)> Runs(IEnumerable<string> tokens)
    {
        var (runs, bytes) = (new List<(string?, byte[])>(), new List<byte>());
        foreach (var token in tokens)
        {
            if (Regex.IsMatch(token, "^<0x[0-9A-Fa-f]{2}>\\z")) bytes.Add(Convert.FromHexString(token.AsSpan(3, 2))[0]);
            else
            {
                runs.Add((token, [.. bytes]));
                bytes.Clear();
            }
        }

        runs.Add((null, [.. bytes]));
        return runs;
    }

    /// <summary>The longest start that is a character, or U+FFFD for one byte, and so on.</summary>
    private static List<string> OneByOne(byte[] bytes)
    {
        var texts = new List<string>();
        for (var at = 0; at < bytes.Length;)
        {
            var length = Enumerable.Range(1, Math.Min(4, bytes.Length - at)).FirstOrDefault(count => IsCharacter(bytes[at..(at + count)]));
            texts.Add(length == 0 ? Replacement : Encoding.UTF8.GetString(bytes, at, length));
            at += Math.Max(1, length);
        }

        return texts;

        static bool IsCharacter(byte[] bytes) => Utf8.IsValid(bytes) && Encoding.UTF8.GetString(bytes).EnumerateRunes().Count() == 1;
    }

    /// <summary>The bytes of a token in GPT-2's alphabet; those of its UTF-8 where it is not written in it.</summary>
    private static byte[] Bytes(string token) =>
        token.All(s_alphabet.ContainsKey) ? [.. token.Select(letter => s_alphabet[letter])] : Encoding.UTF8.GetBytes(token);

    private static char Letter(byte value)
    {
        static bool IsPrintable(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE;
        return (char)(IsPrintable(value) ? value : 0x100 + Enumerable.Range(0, value).Count(b => !IsPrintable(b)));
    }
}
