using System.Buffers;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// A unigram language model: of all ways to cut a piece of text into tokens the one whose scores, logarithms of
/// probabilities, have the greatest sum (Viterbi). Neighbouring characters without a token are one unknown token, or the
/// tokens of their bytes.
/// <para>Kudo 2018, <see href="https://arxiv.org/abs/1804.10959"/>.</para>
/// </summary>
public sealed class UnigramTokenizer : Tokenizer
{
    // How much less an unknown character scores than the least token.
    private const double UnknownPenalty = 10;
    private const int Unknown = -1;

    private readonly Vocabulary _vocabulary;
    private readonly double[] _scores;
    private readonly UnigramOptions _options;
    private readonly PieceTrie _pieces;
    private readonly double _unknownScore;
    private readonly ByteTokens? _fallback;
    private readonly WordCache _cache = new();

    /// <param name="vocabulary">The model's tokens.</param>
    /// <param name="scores">The score of each.</param>
    /// <param name="parts">What is around the model.</param>
    /// <param name="options">What is unknown, and how scores are added.</param>
    internal UnigramTokenizer(Vocabulary vocabulary, double[] scores, TokenizerParts parts, UnigramOptions options)
        : base(vocabulary, parts)
    {
        (_vocabulary, _scores, _options) = (vocabulary, scores, options);
        var pieces = vocabulary.InOrder.Where(piece => options.IsPiece?.Invoke(piece.Value) ?? true);
        _pieces = new PieceTrie(pieces.Select(piece => (piece.Key, piece.Value)));
        _unknownScore = (options.LeastScore ?? scores.DefaultIfEmpty().Min()) - UnknownPenalty;
        if (options.FallsBackToBytes) _fallback = ByteTokens.Of(vocabulary);
    }

    /// <summary>Reads <c>[["token", score], …]</c>.</summary>
    internal static (Vocabulary Vocabulary, double[] Scores) ReadVocabulary(JsonPart part)
    {
        var (tokens, scores) = (new List<string>(), new List<double>());
        foreach (var item in part.Items())
        {
            var pair = item.Items().ToArray();
            if (pair.Length != 2) throw item.Wrong("a token and its score");
            var score = pair[1].Value.ValueKind == JsonValueKind.Number ? pair[1].Value.GetDouble() : double.NaN;
            if (!double.IsFinite(score)) throw pair[1].Wrong("a score");
            tokens.Add(pair[0].Text());
            scores.Add(score);
        }

        var twice = tokens.GroupBy(token => token, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1);
        if (twice is not null) throw new InvalidDataException($"{part} has '{twice.Key}' twice.");
        return (new Vocabulary(tokens), [.. scores]);
    }

    /// <summary>Reads the <c>model</c> of <c>tokenizer.json</c>.</summary>
    internal static UnigramTokenizer Read(
        JsonPart model, Vocabulary vocabulary, double[] scores, TokenizerParts parts)
    {
        var unknown = model.Optional("unk_id");
        if (unknown is not null && vocabulary.TextOf(unknown.Id()) is null)
            throw unknown.Wrong($"less than {vocabulary.Size}, the number of tokens");
        var fallsBack = model.Flag("byte_fallback", otherwise: false);
        return new UnigramTokenizer(vocabulary, scores, parts, new UnigramOptions(unknown?.Id(), fallsBack));
    }

    /// <inheritdoc/>
    public override string ModelName => "unigram";

    private protected override void WriteModel(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Unigram");
        if (_options.UnknownId is { } unknown) writer.WriteNumber("unk_id", unknown);
        else writer.WriteNull("unk_id");
        writer.WriteStartArray("vocab");
        foreach (var (token, id) in _vocabulary.InOrder)
        {
            writer.WriteStartArray();
            writer.WriteStringValue(token);
            writer.WriteNumberValue(_scores[id]);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteBoolean("byte_fallback", _options.FallsBackToBytes);
        writer.WriteEndObject();
    }

    private protected override void EncodePiece(ReadOnlySpan<char> piece, List<int> into)
    {
        if (_cache.TryGet(piece, out var known))
        {
            into.AddRange(known);
            return;
        }

        var before = into.Count;
        var steps = ArrayPool<Step>.Shared.Rent(piece.Length + 1);
        try
        {
            FindBest(piece, steps.AsSpan(0, piece.Length + 1));
            Append(piece, steps, into);
        }
        finally
        {
            ArrayPool<Step>.Shared.Return(steps);
        }

        _cache.Put(piece, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(into)[before..]);
    }

    /// <summary>Finds the last token of the best way to every place, then links the best way from the start.</summary>
    private void FindBest(ReadOnlySpan<char> text, Span<Step> steps)
    {
        steps.Fill(new Step { Start = -1 });
        for (var start = 0; start < text.Length;)
        {
            var width = char.IsHighSurrogate(text[start]) ? 2 : 1;
            var isKnown = false;
            var node = PieceTrie.Root;
            for (var end = start; end < text.Length && _pieces.Next(ref node, text[end], out var id);)
            {
                end++;
                if (id == PieceTrie.None) continue;
                Offer(steps, start, end, id, _scores[id]);
                isKnown |= end - start == width;
            }

            if (!isKnown) Offer(steps, start, start + width, Unknown, _unknownScore);
            start += width;
        }

        for (var end = text.Length; end > 0; end = steps[end].Start) steps[steps[end].Start].Next = end;
    }

    private void Offer(Span<Step> steps, int start, int end, int id, double score)
    {
        score += steps[start].Score;
        ref var step = ref steps[end];
        if (step.Start >= 0 && score <= step.Score) return;
        step.Score = _options.SinglePrecision ? (float)score : score;
        (step.Start, step.Id) = (start, id);
    }

    private void Append(ReadOnlySpan<char> text, Step[] steps, List<int> into)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = steps[start].Next;
            if (steps[end].Id != Unknown)
            {
                into.Add(steps[end].Id);
                start = end;
                continue;
            }

            while (end < text.Length && steps[steps[end].Next].Id == Unknown) end = steps[end].Next;
            if (_fallback is not null) _fallback.Append(text[start..end], into);
            else if (_options.UnknownId is { } unknown) into.Add(unknown);
            start = end;
        }
    }

    /// <summary>
    /// A place in a text: the score of the best way to it and the last token of that way; once all are known, where the
    /// next token ends.
    /// </summary>
    private struct Step
    {
        public double Score;
        public int Start, Id, Next;
    }
}

/// <summary>What a <see cref="UnigramTokenizer"/> knows beside scores.</summary>
/// <param name="UnknownId">The token of unknown characters, or null to drop them.</param>
/// <param name="FallsBackToBytes">Whether they become the tokens of their bytes instead, if there are all.</param>
/// <param name="SinglePrecision">Whether sums are rounded as sentencepiece does.</param>
/// <param name="IsPiece">Which ids can be found in text; null for all.</param>
/// <param name="LeastScore">The score that unknown characters are measured by; null for the least of all.</param>
internal sealed record UnigramOptions(
    int? UnknownId,
    bool FallsBackToBytes,
    bool SinglePrecision = false,
    Func<int, bool>? IsPiece = null,
    double? LeastScore = null);
