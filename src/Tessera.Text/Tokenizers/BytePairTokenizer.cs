using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Byte-pair encoding: a piece starts as its bytes (or, without a byte-level pre-tokenizer, its characters), and the
/// neighbours whose pair was learned first are joined until no pair is known.
/// <para>Sennrich, Haddow, Birch 2016, <see href="https://arxiv.org/abs/1508.07909"/>; on bytes: GPT-2.</para>
/// </summary>
public sealed class BytePairTokenizer : Tokenizer
{
    private const int SmallPiece = 256;
    private const int Absent = -1;

    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly string? _unknownToken;
    private readonly int _unknownId;
    private readonly bool _wholeWordsFirst;
    private readonly int[]? _byteIds;
    private readonly WordCache _cache = new();

    /// <param name="vocabulary">The model's tokens.</param>
    /// <param name="merges">Pairs of their ids, the first learned first.</param>
    /// <param name="parts">What is around the model.</param>
    /// <param name="unknownToken">
    /// What stands for a character without a token, one of the vocabulary; null to drop such characters.
    /// </param>
    /// <param name="wholeWordsFirst">
    /// Whether a piece that is a token is that token, even where merges lead elsewhere.
    /// </param>
    internal BytePairTokenizer(
        Vocabulary vocabulary,
        MergeTable merges,
        TokenizerParts parts,
        string? unknownToken = null,
        bool wholeWordsFirst = false)
        : base(vocabulary, parts)
    {
        (_vocabulary, _merges, _unknownToken, _wholeWordsFirst) = (vocabulary, merges, unknownToken, wholeWordsFirst);
        _unknownId = unknownToken is null ? Absent : vocabulary.Find(unknownToken) ?? Absent;
        if (parts.PreTokenizer is not { IsByteLevel: true }) return;
        _byteIds = new int[256];
        for (var value = 0; value < 256; value++)
            _byteIds[value] = vocabulary.Find([ByteAlphabet.Characters[value]]) ?? _unknownId;
    }

    /// <summary>Reads the <c>model</c> of <c>tokenizer.json</c>.</summary>
    internal static BytePairTokenizer Read(JsonPart model, Vocabulary vocabulary, TokenizerParts parts)
    {
        if (model.Flag("byte_fallback", otherwise: false)) throw model.Required("byte_fallback").Unsupported("false");
        if (model.Flag("fuse_unk", otherwise: false)) throw model.Required("fuse_unk").Unsupported("false");
        if (model.Optional("dropout") is { } dropout && dropout.Value.GetRawText() is not ("0" or "0.0"))
            throw dropout.Unsupported("null");
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Optional(name) is { } affix && affix.Text().Length > 0) throw affix.Unsupported("null");

        var unknown = model.Optional("unk_token");
        if (unknown is not null && vocabulary.Find(unknown.Text()) is null)
            throw unknown.Wrong("a token of the vocabulary");
        var merges = MergeTable.Read(model.Required("merges"), vocabulary);
        var wholeWordsFirst = model.Flag("ignore_merges", otherwise: false);
        return new BytePairTokenizer(vocabulary, merges, parts, unknown?.Text(), wholeWordsFirst);
    }

    private protected override void WriteModel(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "BPE");
        writer.WriteNull("dropout");
        writer.WriteString("unk_token", _unknownToken);
        writer.WriteNull("continuing_subword_prefix");
        writer.WriteNull("end_of_word_suffix");
        writer.WriteBoolean("fuse_unk", false);
        writer.WriteBoolean("byte_fallback", false);
        writer.WriteBoolean("ignore_merges", _wholeWordsFirst);
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
        if (_cache.TryGet(piece, out var known))
        {
            into.AddRange(known);
            return;
        }

        var most = _byteIds is null ? piece.Length : Encoding.UTF8.GetMaxByteCount(piece.Length);
        var ids = most <= SmallPiece ? stackalloc int[SmallPiece] : new int[most];
        ids = ids[..(_byteIds is null ? EncodeCharacters(piece, ids) : EncodeBytes(piece, ids))];
        _cache.Put(piece, ids);
        into.AddRange(ids);
    }

    private int EncodeBytes(ReadOnlySpan<char> piece, Span<int> ids)
    {
        Span<byte> bytes = ids.Length <= SmallPiece ? stackalloc byte[SmallPiece] : new byte[ids.Length];
        bytes = bytes[..Encoding.UTF8.GetBytes(piece, bytes)];
        if (_wholeWordsFirst)
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
        if (_wholeWordsFirst && FindWhole(piece, ids)) return 1;
        var count = 0;
        for (var i = 0; i < piece.Length;)
        {
            var length = char.IsHighSurrogate(piece[i]) ? 2 : 1;
            var id = _vocabulary.Find(piece.Slice(i, length)) ?? _unknownId;
            if (id != Absent) ids[count++] = id;
            i += length;
        }

        return _merges.Apply(ids[..count]);
    }

    private bool FindWhole(ReadOnlySpan<char> token, Span<int> ids)
    {
        if (_vocabulary.Find(token) is not { } id) return false;
        ids[0] = id;
        return true;
    }
}
