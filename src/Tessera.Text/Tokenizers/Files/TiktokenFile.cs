using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Reads tiktoken's rank files: on each line a token's bytes in base 64 and its rank, which is its id. Two neighbours
/// are joined if what they give is a token, that of the least rank first.
/// </summary>
internal static class TiktokenFile
{
    // No token of a vocabulary in use is longer.
    private const int LongestLine = 4096;

    /// <summary>Whether a file looks like one by its first line.</summary>
    public static bool IsAt(string path)
    {
        Span<byte> start = stackalloc byte[LongestLine];
        using var file = File.OpenRead(path);
        start = start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        var end = start.IndexOf((byte)'\n');
        var line = (end < 0 ? start : start[..end]).TrimEnd((byte)'\r');
        var blank = line.IndexOf((byte)' ');
        return blank > 0 && Base64.IsValid(line[..blank]) && Utf8Parser.TryParse(line[(blank + 1)..], out uint _, out var read)
            && blank + 1 + read == line.Length;
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is damaged; the message names file and line.</exception>
    public static BytePairTokenizer Read(
        string path, IReadOnlyList<string> patterns, IReadOnlyList<AddedToken> added, TokenRoles? roles)
    {
        var tokens = new List<string>();
        var number = 0;
        foreach (var line in File.ReadLines(path, Encoding.Latin1))
        {
            number++;
            if (line.Length == 0) continue;
            var blank = line.IndexOf(' ', StringComparison.Ordinal);
            var expected = tokens.Count.ToString(CultureInfo.InvariantCulture);
            if (blank < 1 || line[(blank + 1)..] != expected)
                throw new InvalidDataException(
                    $"{path}:{number}: '{line}' must be a token in base 64, a blank and the rank {expected}.");
            tokens.Add(Written(path, number, line.AsSpan(0, blank)));
        }

        var vocabulary = SentencePieceFile.VocabularyOf(path, tokens);
        if (ByteAlphabet.Characters.ToArray().Any(character => vocabulary.Find([character]) is null))
            throw new InvalidDataException($"{path}: a token of one byte is missing; all 256 must be there.");
        foreach (var token in added)
        {
            if (vocabulary.TextOf(token.Id) is not { } other) continue;
            throw new ArgumentException($"'{token.Text}' has the id {token.Id}, which is that of '{other}'.", nameof(added));
        }

        var merges = MergeTable.OfScores([.. tokens.Select((token, id) => (token, id, -(double)id))]);
        var parts = new TokenizerParts(
            added, null, PreTokenizerSequence.OnBytes(patterns), null, new ByteLevelDecoder(), roles);
        // A whole piece that is a token is looked up first, as tiktoken does.
        return new BytePairTokenizer(vocabulary, merges, parts, new BytePairOptions(WholeWordsFirst: true));
    }

    /// <summary>A token's bytes in <see cref="ByteAlphabet"/>.</summary>
    private static string Written(string path, int line, ReadOnlySpan<char> coded)
    {
        var bytes = new byte[Base64.GetMaxDecodedFromUtf8Length(coded.Length)];
        if (!Convert.TryFromBase64Chars(coded, bytes, out var count) || count == 0)
            throw new InvalidDataException($"{path}:{line}: '{coded}' is no base 64.");
        return string.Create(count, bytes, (characters, values) =>
        {
            for (var i = 0; i < characters.Length; i++) characters[i] = ByteAlphabet.Characters[values[i]];
        });
    }
}
