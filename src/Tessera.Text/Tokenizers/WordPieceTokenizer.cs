using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// WordPiece: a word becomes the longest token it starts with, then the longest that goes on, which are written with a
/// prefix, to its end. A word that cannot be cut so, or is too long, is unknown as a whole.
/// <para>Devlin et al. 2018, <see href="https://arxiv.org/abs/1810.04805"/>.</para>
/// </summary>
public sealed class WordPieceTokenizer : Tokenizer
{
    private const int UsualLongestWord = 100;

    private readonly Vocabulary _vocabulary;
    private readonly string _unknown;
    private readonly int _unknownId;
    private readonly string _prefix;
    private readonly int _longestWord;
    private readonly PieceTrie _beginning;
    private readonly PieceTrie _continuing;
    private readonly WordCache _cache = new();

    private WordPieceTokenizer(
        Vocabulary vocabulary, TokenizerParts parts, string unknown, int unknownId, string prefix, int longestWord)
        : base(vocabulary, parts)
    {
        (_vocabulary, _unknown, _unknownId, _prefix, _longestWord) = (vocabulary, unknown, unknownId, prefix, longestWord);
        var tokens = vocabulary.InOrder.Select(token => (token.Key, token.Value)).ToArray();
        _beginning = new PieceTrie(tokens);
        _continuing = new PieceTrie(tokens
            .Where(token => token.Key.StartsWith(prefix, StringComparison.Ordinal))
            .Select(token => (token.Key[prefix.Length..], token.Value)));
    }

    /// <summary>Reads the <c>model</c> of <c>tokenizer.json</c>.</summary>
    internal static WordPieceTokenizer Read(JsonPart model, Vocabulary vocabulary, TokenizerParts parts)
    {
        var unknown = model.Required("unk_token");
        if (vocabulary.Find(unknown.Text()) is not { } unknownId) throw unknown.Wrong("a token of the vocabulary");
        var prefix = model.Optional("continuing_subword_prefix")?.Text() ?? "##";
        var longest = model.Optional("max_input_chars_per_word")?.Id() ?? UsualLongestWord;
        return new WordPieceTokenizer(vocabulary, parts, unknown.Text(), unknownId, prefix, longest);
    }

    /// <inheritdoc/>
    public override string ModelName => "WordPiece";

    private protected override void WriteModel(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "WordPiece");
        writer.WriteString("unk_token", _unknown);
        writer.WriteString("continuing_subword_prefix", _prefix);
        writer.WriteNumber("max_input_chars_per_word", _longestWord);
        writer.WriteStartObject("vocab");
        foreach (var (token, id) in _vocabulary.InOrder) writer.WriteNumber(token, id);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private protected override void EncodePiece(ReadOnlySpan<char> piece, List<int> into)
    {
        if (_cache.TryGet(piece, out var known))
        {
            into.AddRange(known);
            return;
        }

        var ids = new List<int>();
        var fits = Characters.Count(piece) <= _longestWord;
        for (var rest = piece; fits && !rest.IsEmpty;)
        {
            var length = (rest.Length == piece.Length ? _beginning : _continuing).Longest(rest, out var id);
            fits = length > 0;
            ids.Add(id);
            rest = rest[length..];
        }

        if (!fits) ids = [_unknownId];
        _cache.Put(piece, [.. ids]);
        into.AddRange(ids);
    }
}
