using System.Buffers;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Cuts text at the added tokens in it: of those that start first the longest, from left to right, as Hugging Face
/// does.
/// </summary>
internal sealed class AddedTokenCutter
{
    private readonly SearchValues<string> _any;
    private readonly ILookup<char, (string Sought, AddedToken Token)> _byFirst;

    /// <param name="tokens">The tokens, each with the text to look for. May be none.</param>
    public AddedTokenCutter(IEnumerable<(string Sought, AddedToken Token)> tokens)
    {
        (string Sought, AddedToken Token)[] longestFirst =
            [.. tokens.Where(token => token.Sought.Length > 0).OrderByDescending(token => token.Sought.Length)];
        _any = SearchValues.Create([.. longestFirst.Select(token => token.Sought)], StringComparison.Ordinal);
        _byFirst = longestFirst.ToLookup(token => token.Sought[0]);
    }

    /// <summary>
    /// Cuts a text into stretches of which the tokens are whole; empty stretches of text are left out.
    /// </summary>
    public List<Stretch> Cut(ReadOnlySpan<char> text)
    {
        var stretches = new List<Stretch>();
        var done = 0;
        for (var from = 0; FindNext(text, from, out var start, out var stop) is { } token;)
        {
            from = stop;
            if (token.SingleWord && (EndsWithWord(text[..start]) || StartsWithWord(text[stop..]))) continue;
            // What an earlier token has taken to its right is not taken again.
            if (token.TrimsLeft) start = Math.Max(text[..start].TrimEnd().Length, done);
            if (token.TrimsRight) stop = text.Length - text[stop..].TrimStart().Length;
            if (done < start) stretches.Add(new Stretch(done, start, null));
            stretches.Add(new Stretch(start, stop, token.Id));
            done = stop;
        }

        if (done < text.Length) stretches.Add(new Stretch(done, text.Length, null));
        return stretches;
    }

    private AddedToken? FindNext(ReadOnlySpan<char> text, int from, out int start, out int stop)
    {
        start = stop = text.Length;
        var found = text[from..].IndexOfAny(_any);
        if (found < 0) return null;
        start = from + found;
        var rest = text[start..];
        foreach (var (sought, token) in _byFirst[rest[0]])
        {
            if (!rest.StartsWith(sought, StringComparison.Ordinal)) continue;
            stop = start + sought.Length;
            return token;
        }

        return null;
    }

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var rune, out _) == OperationStatus.Done && Characters.IsWord(rune);

    private static bool StartsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var rune, out _) == OperationStatus.Done && Characters.IsWord(rune);

    /// <summary>A part of a text: an added token where it has an id, else text between such tokens.</summary>
    public readonly record struct Stretch(int Start, int Stop, int? Id);
}
