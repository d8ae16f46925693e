using System.Runtime.InteropServices;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Finds merges: the pair with the greatest count, of equals the one with the least left id and then the least right
/// id. A pair counts at each place it starts (<c>aaa</c> holds <c>aa</c> twice) and is joined from left to right.
/// Counts follow each merge only where it happens, so that work is in proportion to what changes.
/// </summary>
/// <param name="tokens">The tokens there are, special ones first; new ones are added.</param>
/// <param name="specialTokens">How many of them are special; no merge makes one of these.</param>
/// <param name="lengthLimit">Pairs made by a merge are counted only where they have fewer symbols than this.</param>
internal sealed class MergeLearner(List<string> tokens, int specialTokens, int lengthLimit)
{
    private readonly List<int> _symbols = [];
    private readonly List<Word> _words = [];
    private readonly List<int> _lengths = [.. tokens.Select(_ => 1)];
    private readonly Dictionary<string, int> _ids =
        tokens.Select(KeyValuePair.Create).ToDictionary(StringComparer.Ordinal);

    private readonly Dictionary<(int Left, int Right), Occurrences> _pairs = [];

    // The pairs that have come up since pairs were last queued.
    private readonly List<(int Left, int Right)> _fresh = [];

    // Greatest count first, then least pair; a pair's count may have fallen since it was queued.
    private readonly PriorityQueue<Candidate, (long NegativeCount, int Left, int Right)> _queue = new();

    /// <summary>Adds a word that occurs a number of times.</summary>
    public void AddWord(IEnumerable<int> symbols, long count)
    {
        var start = _symbols.Count;
        _symbols.AddRange(symbols);
        _words.Add(new Word(start, _symbols.Count - start, count));
    }

    /// <summary>Finds merges until there are as many tokens as wanted or no pair is frequent enough.</summary>
    public List<(int Left, int Right, int Joined)> Learn(
        int vocabularySize, int minimumFrequency, CancellationToken cancellation)
    {
        var merges = new List<(int Left, int Right, int Joined)>();
        CountAll();
        while (tokens.Count < vocabularySize && _queue.TryDequeue(out var best, out var order))
        {
            var (left, right) = best.Pair;
            var count = _pairs[best.Pair].Count;
            if (count != -order.NegativeCount)
            {
                if (count > 0) _queue.Enqueue(best, (-count, left, right));
                continue;
            }

            if (count < minimumFrequency) break;
            cancellation.ThrowIfCancellationRequested();
            var joined = Join(left, right);
            if (joined < specialTokens) continue;
            merges.Add((left, right, joined));
            foreach (var word in best.Words) Merge(word, left, right, joined);
            QueueFresh();
        }

        return merges;
    }

    private void CountAll()
    {
        for (var index = 0; index < _words.Count; index++)
        {
            var word = _words[index];
            var symbols = CollectionsMarshal.AsSpan(_symbols).Slice(word.Start, word.Length);
            for (var i = 1; i < symbols.Length; i++) Add(symbols[i - 1], symbols[i], word.Count, index);
        }

        QueueFresh();
    }

    /// <summary>The token two tokens make, a new one unless another pair has made it before.</summary>
    private int Join(int left, int right)
    {
        var text = tokens[left] + tokens[right];
        if (_ids.TryGetValue(text, out var known)) return known;
        _ids.Add(text, tokens.Count);
        tokens.Add(text);
        _lengths.Add(_lengths[left] + _lengths[right]);
        return tokens.Count - 1;
    }

    /// <summary>Joins a pair wherever it stands in a word, and counts what that takes away and brings.</summary>
    private void Merge(int index, int left, int right, int joined)
    {
        ref var word = ref CollectionsMarshal.AsSpan(_words)[index];
        var symbols = CollectionsMarshal.AsSpan(_symbols).Slice(word.Start, word.Length);
        var kept = 0;
        for (var i = 0; i < symbols.Length; i++)
        {
            if (symbols[i] != left || i + 1 == symbols.Length || symbols[i + 1] != right)
            {
                symbols[kept++] = symbols[i];
                continue;
            }

            i++;
            if (kept > 0)
            {
                Remove(symbols[kept - 1], left, word.Count);
                if (Fits(symbols[kept - 1], joined)) Add(symbols[kept - 1], joined, word.Count, index);
            }

            if (i + 1 < symbols.Length)
            {
                Remove(right, symbols[i + 1], word.Count);
                if (Fits(joined, symbols[i + 1])) Add(joined, symbols[i + 1], word.Count, index);
            }

            symbols[kept++] = joined;
        }

        word = word with { Length = kept };
    }

    private bool Fits(int left, int right) => _lengths[left] + _lengths[right] < lengthLimit;

    private void Add(int left, int right, long count, int word)
    {
        ref var pair = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, (left, right), out _);
        pair.Count += count;
        if (pair.Fresh is null)
        {
            pair.Fresh = [];
            _fresh.Add((left, right));
        }

        if (pair.Fresh.Count == 0 || pair.Fresh[^1] != word) pair.Fresh.Add(word);
    }

    private void Remove(int left, int right, long count) =>
        CollectionsMarshal.GetValueRefOrAddDefault(_pairs, (left, right), out _).Count -= count;

    private void QueueFresh()
    {
        foreach (var pair in _fresh)
        {
            ref var occurrences = ref CollectionsMarshal.GetValueRefOrNullRef(_pairs, pair);
            var candidate = new Candidate(pair, occurrences.Fresh!);
            if (occurrences.Count > 0) _queue.Enqueue(candidate, (-occurrences.Count, pair.Left, pair.Right));
            occurrences.Fresh = null;
        }

        _fresh.Clear();
    }

    private readonly record struct Word(int Start, int Length, long Count);

    private readonly record struct Candidate((int Left, int Right) Pair, List<int> Words);

    /// <summary>How often a pair occurs, and the words in which it has come up since it was last queued.</summary>
    private struct Occurrences
    {
        public long Count;
        public List<int>? Fresh;
    }
}
