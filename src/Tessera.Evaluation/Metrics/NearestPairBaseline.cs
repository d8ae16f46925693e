using System.Buffers;

namespace Tessera.Evaluation.Metrics;

/// <summary>
/// What a model must beat: for a source, answer with the target of the training pair whose source is most like it.
/// Likeness is the overlap of bags of words as an F1 in which rare words weigh more:
/// <c>2 Σ w(t)·min(a(t), b(t)) / (Σ w(t)·a(t) + Σ w(t)·b(t))</c> with <c>a(t)</c>, <c>b(t)</c> the counts of word t in either
/// source and <c>w(t) = 1 + ln((n + 1) / (d(t) + 1))</c>, <c>d(t)</c> of n training sources having it. Words are lower-cased
/// runs of letters, digits and underscores. An inverted index makes the cost that of the pairs that share a word.
/// <para>The weights are Spärck Jones's of 1972 in the smoothed form of scikit-learn's <c>TfidfVectorizer</c>.</para>
/// </summary>
public sealed class NearestPairBaseline
{
    private readonly IReadOnlyList<(string Source, string Target)> _train;
    private readonly Dictionary<string, Word> _words = [];
    private readonly double[] _weights;

    /// <summary>Indexes training pairs.</summary>
    /// <param name="train">The pairs, at least one; kept, not copied.</param>
    /// <exception cref="ArgumentException">There is no pair.</exception>
    public NearestPairBaseline(IReadOnlyList<(string Source, string Target)> train)
    {
        ArgumentNullException.ThrowIfNull(train);
        if (train.Count == 0) throw new ArgumentException("There is no training pair to answer with.", nameof(train));
        _train = train;
        for (var pair = 0; pair < train.Count; pair++)
        {
            foreach (var (text, count) in Count(train[pair].Source))
            {
                if (!_words.TryGetValue(text, out var word)) _words.Add(text, word = new Word());
                word.Places.Add((pair, count));
            }
        }

        _weights = new double[train.Count];
        foreach (var word in _words.Values)
        {
            var weight = Weight(word);
            foreach (var (pair, count) in word.Places) _weights[pair] += weight * count;
        }
    }

    /// <summary>
    /// The target of the training pair whose source is most like this one. Of equally like pairs it is the first in training
    /// order; so it is the first pair's where no word is shared. May be called from several threads at once.
    /// </summary>
    public string Predict(string source) => _train[Nearest(source)].Target;

    /// <summary>The place in training order of the pair that <see cref="Predict"/> answers with.</summary>
    public int Nearest(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        var shared = ArrayPool<double>.Shared.Rent(_train.Count);
        Array.Clear(shared, 0, _train.Count);
        var own = 0.0;
        foreach (var (text, count) in Count(source))
        {
            var word = _words.GetValueOrDefault(text);
            var weight = Weight(word);
            own += weight * count;
            if (word is null) continue;
            foreach (var (pair, there) in word.Places) shared[pair] += weight * Math.Min(count, there);
        }

        var (best, highest) = (0, 0.0);
        for (var pair = 0; pair < _train.Count; pair++)
        {
            if (shared[pair] == 0) continue;
            var likeness = 2 * shared[pair] / (own + _weights[pair]);
            if (likeness > highest) (best, highest) = (pair, likeness);
        }

        ArrayPool<double>.Shared.Return(shared);
        return best;
    }

    private double Weight(Word? word) => 1 + Math.Log((_train.Count + 1.0) / ((word?.Places.Count ?? 0) + 1));

    /// <summary>How often a text has each of its words, in order of first appearance, so that sums are always the same.</summary>
    private static List<KeyValuePair<string, int>> Count(string text)
    {
        var counts = new OrderedDictionary<string, int>();
        var lower = text.ToLowerInvariant();
        var start = 0;
        for (var i = 0; i <= lower.Length; i++)
        {
            if (i < lower.Length && (char.IsLetterOrDigit(lower[i]) || lower[i] == '_')) continue;
            if (i > start)
            {
                var word = lower[start..i];
                counts[word] = counts.GetValueOrDefault(word) + 1;
            }

            start = i + 1;
        }

        return [.. counts];
    }

    /// <summary>The training sources that have a word, in order, and how often each has it.</summary>
    private sealed class Word
    {
        public List<(int Pair, int Count)> Places { get; } = [];
    }
}
