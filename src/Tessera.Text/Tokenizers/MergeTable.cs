using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Which pairs of tokens are joined to which token, and in what order.</summary>
internal sealed class MergeTable
{
    private const int None = int.MaxValue;
    private const int ShortWord = 64;

    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _merges;

    /// <param name="merges">
    /// Pairs and what they become, the first to be joined first. Of equal pairs the last counts.
    /// </param>
    public MergeTable(IReadOnlyCollection<(int Left, int Right, int Joined)> merges)
    {
        _merges = new(merges.Count);
        var rank = 0;
        foreach (var (left, right, joined) in merges) _merges[(left, right)] = (rank++, joined);
    }

    private MergeTable(Dictionary<(int Left, int Right), (int Rank, int Id)> merges) => _merges = merges;

    /// <summary>
    /// Every way to put a token together from two others, the token with the greatest score first: how sentencepiece
    /// reads its vocabularies. Tokens of one score have one rank, so that of those the leftmost is joined first.
    /// </summary>
    /// <param name="tokens">The tokens that merges begin with, end in and lead to.</param>
    public static MergeTable OfScores(IReadOnlyList<(string Text, int Id, double Score)> tokens)
    {
        var ids = tokens.ToDictionary(token => token.Text, token => token.Id, StringComparer.Ordinal);
        var idOf = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        // Walks stop at each token that another begins with, so that a long token does not cost its length squared.
        var beginnings = new PieceTrie(tokens.Select(token => (token.Text, token.Id)));
        var merges = new Dictionary<(int Left, int Right), (int Rank, int Id)>();
        var (rank, last) = (-1, double.NaN);
        foreach (var (text, id, score) in tokens.OrderByDescending(token => token.Score).ThenBy(token => token.Id))
        {
            if (score != last) (rank, last) = (rank + 1, score);
            var node = PieceTrie.Root;
            for (var cut = 1; cut < text.Length && beginnings.Next(ref node, text[cut - 1], out var left); cut++)
            {
                if (left != PieceTrie.None && idOf.TryGetValue(text.AsSpan(cut), out var right))
                    merges[(left, right)] = (rank, id);
            }
        }

        return new MergeTable(merges);
    }

    /// <summary>The pairs, in order.</summary>
    public IEnumerable<(int Left, int Right)> Pairs =>
        _merges.OrderBy(merge => merge.Value.Rank).Select(merge => merge.Key);

    /// <summary>The pairs and what they become, in order.</summary>
    public IEnumerable<(int Left, int Right, int Joined)> InOrder =>
        _merges.OrderBy(merge => merge.Value.Rank).Select(merge => (merge.Key.Left, merge.Key.Right, merge.Value.Id));

    /// <summary>Reads <c>["a b", …]</c> or <c>[["a", "b"], …]</c>.</summary>
    /// <param name="part">The list.</param>
    /// <param name="vocabulary">The tokens.</param>
    /// <param name="prefix">What the second of a pair begins with and what they become has not; or nothing.</param>
    public static MergeTable Read(JsonPart part, Vocabulary vocabulary, string prefix)
    {
        return new MergeTable([.. part.Items().Select(ReadMerge)]);

        (int, int, int) ReadMerge(JsonPart merge)
        {
            var names = merge.Value.ValueKind == JsonValueKind.String
                ? merge.Text().Split(' ')
                : [.. merge.Items().Select(item => item.Text())];
            if (names.Length != 2) throw merge.Wrong("two tokens");
            if (!names[1].StartsWith(prefix, StringComparison.Ordinal))
                throw merge.Wrong($"two tokens, the second with the prefix '{prefix}'");
            return (IdOf(names[0]), IdOf(names[1]), IdOf(names[0] + names[1][prefix.Length..]));

            int IdOf(string name) => vocabulary.Find(name)
                ?? throw merge.Wrong($"of known tokens, but '{name}' is not in the vocabulary");
        }
    }

    /// <summary>
    /// Joins neighbours, always the pair with the least rank and of equals the leftmost, until no pair is known. Takes
    /// O(n log n) for n symbols.
    /// </summary>
    /// <param name="ids">The symbols of a word; what they become is at its start.</param>
    /// <returns>How many are left.</returns>
    public int Apply(Span<int> ids)
    {
        if (ids.Length < 2) return ids.Length;
        var isShort = ids.Length <= ShortWord;
        Span<Symbol> symbols = isShort ? stackalloc Symbol[ids.Length] : new Symbol[ids.Length];
        // In a short word the least rank is found faster by looking at all of them.
        var queue = isShort ? null : new PriorityQueue<int, long>(ids.Length);
        for (var i = 0; i < ids.Length; i++) symbols[i] = new Symbol { Id = ids[i], Previous = i - 1, Next = i + 1 };
        for (var i = 0; i < ids.Length; i++) Offer(symbols, i, queue);

        for (int at; (at = queue is null ? Least(symbols) : Least(symbols, queue)) >= 0;)
        {
            ref var left = ref symbols[at];
            ref var right = ref symbols[left.Next];
            left.Id = left.Joined;
            left.Next = right.Next;
            right.Rank = None;
            if (left.Next < symbols.Length) symbols[left.Next].Previous = at;
            Offer(symbols, at, queue);
            if (left.Previous >= 0) Offer(symbols, left.Previous, queue);
        }

        var count = 0;
        for (var i = 0; i < symbols.Length; i = symbols[i].Next) ids[count++] = symbols[i].Id;
        return count;
    }

    private void Offer(Span<Symbol> symbols, int at, PriorityQueue<int, long>? queue)
    {
        ref var left = ref symbols[at];
        left.Rank = None;
        if (left.Next == symbols.Length) return;
        if (!_merges.TryGetValue((left.Id, symbols[left.Next].Id), out var merge)) return;
        (left.Rank, left.Joined) = merge;
        queue?.Enqueue(at, ((long)merge.Rank << 32) | (uint)at);
    }

    private static int Least(Span<Symbol> symbols)
    {
        var (best, rank) = (-1, None);
        for (var i = 0; i < symbols.Length; i++)
            if (symbols[i].Rank < rank) (best, rank) = (i, symbols[i].Rank);
        return best;
    }

    private static int Least(Span<Symbol> symbols, PriorityQueue<int, long> queue)
    {
        while (queue.TryDequeue(out var at, out var order))
        {
            // The pair that was offered may have lost its left or its right since.
            if (symbols[at].Rank == (int)(order >> 32)) return at;
        }

        return -1;
    }

    /// <summary>A symbol of a word that is being joined, and the rank and result of joining it with the next.</summary>
    private struct Symbol
    {
        public int Id, Previous, Next, Rank, Joined;
    }
}
