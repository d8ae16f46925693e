using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Learns a <see cref="BytePairTokenizer"/> from texts. Ids go to the special tokens, to the alphabet in the order of
/// its code points, and to the merges as they are found. The same texts give the same tokenizer, in whatever order they
/// come.
/// </summary>
public static class BytePairTrainer
{
    /// <summary>Counts the words of texts, then joins the most frequent pair of neighbours again and again.</summary>
    /// <param name="texts">The texts, read once and not kept. Special tokens in them are ordinary text.</param>
    /// <param name="options">What to make.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, or the vocabulary is too small for its special tokens and alphabet.
    /// </exception>
    /// <exception cref="OperationCanceledException">The work was stopped.</exception>
    public static BytePairTokenizer Train(
        IEnumerable<string> texts, BytePairTrainerOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        var special = options.Special;
        var preTokenizer = options.PreTokenizer ?? new ByteLevelPreTokenizer();
        var words = WordCounter.Count(texts, options.Normalizer, preTokenizer, cancellation);

        var alphabet = preTokenizer.IsByteLevel
            ? ByteAlphabet.Characters.ToArray().Select(character => new Rune(character))
            : MaxFrequent(words, options.AlphabetLimit ?? int.MaxValue);
        var ordered = alphabet.Order().Select(rune => rune.ToString()).Except(special, StringComparer.Ordinal);
        List<string> tokens = [.. special, .. ordered];
        if (tokens.Count > options.VocabularySize)
        {
            throw new ArgumentException(
                $"A vocabulary of {options.VocabularySize} has no room for {special.Count} special tokens and an "
                + $"alphabet of {tokens.Count - special.Count}.", nameof(options));
        }

        var learner = new MergeLearner(tokens, special.Count, options.TokenLengthLimit ?? int.MaxValue);
        var idOf = SymbolIds(tokens);
        foreach (var (word, count) in words) learner.AddWord(Symbols(word, preTokenizer.IsByteLevel, idOf), count);
        var merges = learner.Learn(options.VocabularySize, Math.Max(1, options.MinimumFrequency), cancellation);

        AddedToken[] added = [.. special.Select((text, id) => new AddedToken(text, id))];
        var decoder = preTokenizer.IsByteLevel ? new ByteLevelDecoder() : null;
        // What has a begin token begins texts with it, so that every reader of the file does.
        var around = TokenRoles.ByName(added).Begin is { } begin
            ? PostProcessor.Of([Array.FindIndex(added, token => token.Text == begin)], [], id => special[id])
            : null;
        var parts = new TokenizerParts(added, options.Normalizer, preTokenizer, around, decoder, null);
        var model = new BytePairOptions(options.UnknownToken);
        return new BytePairTokenizer(new Vocabulary(tokens), new MergeTable(merges), parts, model);
    }

    private static IEnumerable<Rune> MaxFrequent(Dictionary<string, long> words, int limit)
    {
        var counts = new Dictionary<Rune, long>();
        foreach (var (word, count) in words)
            foreach (var rune in word.EnumerateRunes()) counts[rune] = counts.GetValueOrDefault(rune) + count;
        var maxFrequent = counts.OrderByDescending(rune => rune.Value).ThenBy(rune => rune.Key).Take(limit);
        return maxFrequent.Select(rune => rune.Key);
    }

    private static Dictionary<Rune, int> SymbolIds(List<string> tokens)
    {
        var ids = new Dictionary<Rune, int>();
        for (var id = 0; id < tokens.Count; id++)
        {
            var token = tokens[id];
            if (Rune.TryGetRuneAt(token, 0, out var rune) && rune.Utf16SequenceLength == token.Length) ids[rune] = id;
        }

        return ids;
    }

    /// <summary>The ids a word starts as; characters outside the alphabet are passed over.</summary>
    private static IEnumerable<int> Symbols(string word, bool isByteLevel, Dictionary<Rune, int> idOf)
    {
        if (isByteLevel)
        {
            foreach (var value in Encoding.UTF8.GetBytes(word))
                yield return idOf[new Rune(ByteAlphabet.Characters[value])];
        }
        else
        {
            foreach (var rune in word.EnumerateRunes())
                if (idOf.TryGetValue(rune, out var id)) yield return id;
        }
    }
}
