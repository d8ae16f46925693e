using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Byte-pair encoding: a piece starts as its bytes (or, without a byte-level pre-tokenizer, its characters), and the
/// neighbours whose pair was learned first are joined until no pair is known. Characters without a token are the unknown
/// token, or the tokens of their bytes.
/// <para>Sennrich, Haddow, Birch 2016, <see href="https://arxiv.org/abs/1508.07909"/>; on bytes: GPT-2.</para>
/// </summary>
public sealed class BytePairTokenizer : Tokenizer
{
    private const int SmallPiece = 256;
    private const int Absent = -1;
    private const int LongestAffix = 64;

    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly BytePairOptions _options;
    private readonly int _unknownId;
    private readonly int[]? _byteIds;
    private readonly ByteTokens? _fallback;
    private readonly bool _cutsAtBlanks;
    private readonly WordCache _cache = new();

    /// <param name="vocabulary">The model's tokens.</param>
    /// <param name="merges">Pairs of their ids, the first learned first.</param>
    /// <param name="parts">What is around the model.</param>
    /// <param name="options">What happens before and where merges do not apply.</param>
    internal BytePairTokenizer(
        Vocabulary vocabulary, MergeTable merges, TokenizerParts parts, BytePairOptions options)
        : base(vocabulary, parts)
    {
        (_vocabulary, _merges, _options) = (vocabulary, merges, options);
        _unknownId = options.UnknownToken is { } unknown ? vocabulary.Find(unknown) ?? Absent : Absent;
        if (options.FallsBackToBytes) _fallback = ByteTokens.Of(vocabulary);
        if (parts.PreTokenizer is not { IsByteLevel: true })
        {
            _cutsAtBlanks = !options.WholeWordsFirst && !options.HasAffixes && NoMergeCrossesBlanks();
            return;
        }

        _byteIds = new int[256];
        for (var value = 0; value < 256; value++)
            _byteIds[value] = vocabulary.Find([ByteAlphabet.Characters[value]]) ?? _unknownId;
    }

    /// <summary>Which pairs are joined.</summary>
    internal MergeTable Merges => _merges;

    /// <summary>What happens before and where merges do not apply.</summary>
    internal BytePairOptions Options => _options;

    /// <summary>Reads the <c>model</c> of <c>tokenizer.json</c>.</summary>
    internal static BytePairTokenizer Read(JsonPart model, Vocabulary vocabulary, TokenizerParts parts)
    {
        if (model.Optional("dropout") is { } dropout && dropout.Value.GetRawText() is not ("0" or "0.0"))
            throw dropout.Unsupported("null");
        var (prefix, suffix) = (Affix("continuing_subword_prefix"), Affix("end_of_word_suffix"));
        var unknown = model.Optional("unk_token");
        if (unknown is not null && vocabulary.Find(unknown.Text()) is null)
            throw unknown.Wrong("a token of the vocabulary");
        var merges = MergeTable.Read(model.Required("merges"), vocabulary, prefix);
        return new BytePairTokenizer(vocabulary, merges, parts, new BytePairOptions(
            unknown?.Text(),
            model.Flag("ignore_merges", otherwise: false),
            model.Flag("fuse_unk", otherwise: false),
            model.Flag("byte_fallback", otherwise: false)) { Prefix = prefix, Suffix = suffix });

        string Affix(string name)
        {
            if (model.Optional(name) is not { } affix) return "";
            return affix.Text().Length <= LongestAffix ? affix.Text() : throw affix.Wrong($"a text of at most {LongestAffix} characters");
        }
    }

    /// <inheritdoc/>
    public override string ModelName => "byte-pair encoding";

    private protected override void WriteModel(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "BPE");
        writer.WriteNull("dropout");
        writer.WriteString("unk_token", _options.UnknownToken);
        writer.WriteString("continuing_subword_prefix", _options.Prefix.Length > 0 ? _options.Prefix : null);
        writer.WriteString("end_of_word_suffix", _options.Suffix.Length > 0 ? _options.Suffix : null);
        writer.WriteBoolean("fuse_unk", _options.FusesUnknown);
        writer.WriteBoolean("byte_fallback", _options.FallsBackToBytes);
        writer.WriteBoolean("ignore_merges", _options.WholeWordsFirst);
        writer.WriteStartObject("vocab");
        foreach (var (token, id) in _vocabulary.InOrder) writer.WriteNumber(token, id);
        writer.WriteEndObject();
        writer.WriteStartArray("merges");
        foreach (var (left, right) in _merges.Pairs)
        {
            writer.WriteStartArray();
            writer.WriteStringValue(_vocabulary.TextOf(left));
            writer.WriteStringValue(_vocabulary.TextOf(right));
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private protected override void EncodePiece(ReadOnlySpan<char> piece, List<int> into)
    {
        if (!_cutsAtBlanks)
        {
            EncodeWord(piece, into);
            return;
        }

        for (var rest = piece; !rest.IsEmpty;)
        {
            var word = rest[..EndOfWord(rest)];
            EncodeWord(word, into);
            rest = rest[word.Length..];
        }
    }

    /// <summary>The end of the blanks at the beginning and what follows them up to the next blank.</summary>
    private static int EndOfWord(ReadOnlySpan<char> text)
    {
        var blanks = text.IndexOfAnyExcept(SentencePieceNormalizer.Blank);
        var word = blanks < 0 ? -1 : text[blanks..].IndexOf(SentencePieceNormalizer.Blank);
        return word < 0 ? text.Length : blanks + word;
    }

    private void EncodeWord(ReadOnlySpan<char> piece, List<int> into)
    {
        if (_cache.TryGet(piece, out var known))
        {
            into.AddRange(known);
            return;
        }

        if (_options.HasAffixes)
        {
            EncodeAffixed(piece, into);
            return;
        }

        var max = _byteIds is null && _fallback is null ? piece.Length : Encoding.UTF8.GetMaxByteCount(piece.Length);
        var ids = max <= SmallPiece ? stackalloc int[SmallPiece] : new int[max];
        ids = ids[..(_byteIds is null ? EncodeCharacters(piece, ids) : EncodeBytes(piece, ids))];
        _cache.Put(piece, ids);
        into.AddRange(ids);
    }

    private int EncodeBytes(ReadOnlySpan<char> piece, Span<int> ids)
    {
        Span<byte> bytes = ids.Length <= SmallPiece ? stackalloc byte[SmallPiece] : new byte[ids.Length];
        bytes = bytes[..Encoding.UTF8.GetBytes(piece, bytes)];
        if (_options.WholeWordsFirst)
        {
            Span<char> written = bytes.Length <= SmallPiece ? stackalloc char[SmallPiece] : new char[bytes.Length];
            for (var i = 0; i < bytes.Length; i++) written[i] = ByteAlphabet.Characters[bytes[i]];
            if (FindWhole(written[..bytes.Length], ids)) return 1;
        }

        var count = 0;
        foreach (var value in bytes)
            if (_byteIds![value] is var id and not Absent) ids[count++] = id;
        return _merges.Apply(ids[..count]);
    }

    private int EncodeCharacters(ReadOnlySpan<char> piece, Span<int> ids)
    {
        if (_options.WholeWordsFirst && FindWhole(piece, ids)) return 1;
        var count = 0;
        var afterUnknown = false;
        for (var i = 0; i < piece.Length;)
        {
            var length = char.IsHighSurrogate(piece[i]) ? 2 : 1;
            var character = piece.Slice(i, length);
            i += length;
            var known = _vocabulary.Find(character);
            if (known is { } id) ids[count++] = id;
            else if (_fallback is not null) count += _fallback.Write(character, ids[count..]);
            else if (_unknownId != Absent && !(_options.FusesUnknown && afterUnknown)) ids[count++] = _unknownId;
            afterUnknown = known is null;
        }

        return _merges.Apply(ids[..count]);
    }

    /// <summary>Encodes a word whose characters are written with a prefix, but for the first, and the last of them with a suffix.</summary>
    private void EncodeAffixed(ReadOnlySpan<char> piece, List<int> into)
    {
        var word = _byteIds is null ? piece : ByteAlphabet.Encode(piece);
        var (symbol, ids, isUnknown) = (new StringBuilder(), new List<int>(word.Length), false);
        if (_options.WholeWordsFirst && _vocabulary.Find(word) is { } whole) ids.Add(whole);
        else
        {
            for (var i = 0; i < word.Length;)
            {
                var length = char.IsHighSurrogate(word[i]) ? 2 : 1;
                symbol.Clear().Append(i > 0 ? _options.Prefix : "").Append(word.Slice(i, length));
                i += length;
                if (i == word.Length) symbol.Append(_options.Suffix);
                var text = symbol.ToString();
                var known = _vocabulary.Find(text);
                if (known is { } id) ids.Add(id);
                else if (_fallback is not null) _fallback.Append(text, ids);
                else if (_unknownId != Absent && !(_options.FusesUnknown && isUnknown)) ids.Add(_unknownId);
                isUnknown = known is null;
            }

            var symbols = CollectionsMarshal.AsSpan(ids);
            CollectionsMarshal.SetCount(ids, _merges.Apply(symbols));
        }

        _cache.Put(piece, CollectionsMarshal.AsSpan(ids));
        into.AddRange(ids);
    }

    /// <summary>
    /// Whether a text may be cut where blanks, written <c>▁</c>, follow something else: then words are encoded one by
    /// one, and most are known already.
    /// </summary>
    private bool NoMergeCrossesBlanks()
    {
        const char Blank = SentencePieceNormalizer.Blank;
        return _vocabulary.Find([Blank]) is not null && _merges.Pairs.All(pair =>
            _vocabulary.TextOf(pair.Right) is not [Blank, ..]
            || _vocabulary.TextOf(pair.Left).AsSpan().IndexOfAnyExcept(Blank) < 0);
    }

    private bool FindWhole(ReadOnlySpan<char> token, Span<int> ids)
    {
        if (_vocabulary.Find(token) is not { } id) return false;
        ids[0] = id;
        return true;
    }
}

/// <summary>What a <see cref="BytePairTokenizer"/> does before and where merges do not apply.</summary>
/// <param name="UnknownToken">
/// What stands for a character without a token, one of the vocabulary; null to drop such characters.
/// </param>
/// <param name="WholeWordsFirst">
/// Whether a piece that is a token is that token, even where merges lead elsewhere.
/// </param>
/// <param name="FusesUnknown">Whether neighbouring characters without a token are one unknown token.</param>
/// <param name="FallsBackToBytes">
/// Whether a character without a token becomes the tokens of its bytes, <c>&lt;0xE2&gt;</c> and such, if there are all.
/// </param>
internal sealed record BytePairOptions(
    string? UnknownToken = null,
    bool WholeWordsFirst = false,
    bool FusesUnknown = false,
    bool FallsBackToBytes = false)
{
    /// <summary>What all characters of a word but the first are written with (<c>continuing_subword_prefix</c>), such as <c>##</c>; or
    /// nothing.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>What the last character of a word is written with (<c>end_of_word_suffix</c>), such as <c>&lt;/w&gt;</c>; or
    /// nothing.</summary>
    public string Suffix { get; init; } = "";

    /// <summary>Whether there is one of the two.</summary>
    public bool HasAffixes => Prefix.Length > 0 || Suffix.Length > 0;

    /// <summary>The scores of sentencepiece that the merges were made of, one for each token; null where there were none.</summary>
    public IReadOnlyList<float>? Scores { get; init; }
}
