using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Tessera.Text.Tokenizers;

/// <summary>Counts how often each piece occurs in texts, on all processors.</summary>
internal static class WordCounter
{
    private const int BatchCharacters = 1 << 18;

    /// <summary>The pieces of texts, normalized, and how often each is there.</summary>
    public static Dictionary<string, long> Count(
        IEnumerable<string> texts, Normalizer? normalizer, PreTokenizer preTokenizer, CancellationToken cancellation)
    {
        var total = new Dictionary<string, long>(StringComparer.Ordinal);
        try
        {
            Parallel.ForEach(
                Partitioner.Create(Batches(texts), EnumerablePartitionerOptions.NoBuffering),
                new ParallelOptions { CancellationToken = cancellation },
                () => new Dictionary<string, long>(StringComparer.Ordinal),
                (batch, _, counts) =>
                {
                    var pieces = new List<Piece>();
                    foreach (var text in batch) Count(text, normalizer, preTokenizer, pieces, counts);
                    return counts;
                },
                counts =>
                {
                    lock (total)
                        foreach (var (word, count) in counts)
                            CollectionsMarshal.GetValueRefOrAddDefault(total, word, out _) += count;
                });
        }
        catch (AggregateException error)
        {
            // What goes wrong in the texts' own enumeration reaches the caller as it is.
            ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);
        }

        return total;
    }

    private static void Count(
        string text,
        Normalizer? normalizer,
        PreTokenizer preTokenizer,
        List<Piece> pieces,
        Dictionary<string, long> counts)
    {
        var whole = Characters.WellFormed(text);
        if (normalizer is not null) whole = normalizer.Normalize(whole.ToString());
        pieces.Clear();
        whole = preTokenizer.Run(whole, atStart: true, pieces);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var piece in CollectionsMarshal.AsSpan(pieces))
            CollectionsMarshal.GetValueRefOrAddDefault(lookup, whole.Slice(piece.Start, piece.Length), out _)++;
    }

    private static IEnumerable<List<string>> Batches(IEnumerable<string> texts)
    {
        var batch = new List<string>();
        var characters = 0L;
        foreach (var text in texts)
        {
            if (text is null) throw new ArgumentException("One of the texts is null.", nameof(texts));
            batch.Add(text);
            characters += text.Length;
            if (characters < BatchCharacters) continue;
            yield return batch;
            (batch, characters) = ([], 0);
        }

        if (batch.Count > 0) yield return batch;
    }
}
