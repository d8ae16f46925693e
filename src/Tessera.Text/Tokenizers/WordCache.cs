namespace Tessera.Text.Tokenizers;

/// <summary>
/// Remembers the ids of words that were met lately. A word has one place; a later one with the same place takes it.
/// Safe for many threads, as an entry never changes and is replaced as a whole.
/// </summary>
internal sealed class WordCache
{
    private const int Places = 1 << 16;
    private const int LongestWord = 64;

    private readonly Entry?[] _entries = new Entry?[Places];

    /// <summary>The ids of a word, if they are known.</summary>
    public bool TryGet(ReadOnlySpan<char> word, out ReadOnlySpan<int> ids)
    {
        var entry = word.Length <= LongestWord ? Volatile.Read(ref PlaceOf(word)) : null;
        var found = entry is not null && word.SequenceEqual(entry.Word);
        ids = found ? entry!.Ids : default;
        return found;
    }

    /// <summary>Remembers a word, unless it is long.</summary>
    public void Put(ReadOnlySpan<char> word, ReadOnlySpan<int> ids)
    {
        if (word.Length <= LongestWord) Volatile.Write(ref PlaceOf(word), new Entry(word.ToString(), ids.ToArray()));
    }

    private ref Entry? PlaceOf(ReadOnlySpan<char> word) => ref _entries[string.GetHashCode(word) & (Places - 1)];

    private sealed record Entry(string Word, int[] Ids);
}
