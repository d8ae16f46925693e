using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Turns text into ids and back. A text is cut at its added tokens, normalized, cut into pieces by the pre-tokenizer,
/// and each piece is given to the model: <see cref="BytePairTokenizer"/>, <see cref="UnigramTokenizer"/>,
/// <see cref="WordPieceTokenizer"/> or <see cref="WordLevelTokenizer"/>. May be used by many threads at once.
/// </summary>
public abstract class Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly TokenizerParts _parts;
    private readonly Dictionary<int, (string Sought, AddedToken Token)> _added;
    private readonly HashSet<int> _controlIds;
    private readonly Dictionary<string, int> _addedIds;
    private readonly AddedTokenCutter _rawTokens;
    private readonly AddedTokenCutter _normalizedTokens;

    private protected Tokenizer(Vocabulary vocabulary, TokenizerParts parts)
    {
        (_vocabulary, _parts) = (vocabulary, parts);
        _added = parts.AddedTokens.ToDictionary(token => token.Id, token => (Sought(token), token));
        _controlIds = [.. parts.ControlTokens.Select(token => token.Id)];
        _addedIds = parts.AddedTokens.ToDictionary(token => token.Text, token => token.Id, StringComparer.Ordinal);
        _rawTokens = new AddedTokenCutter(_added.Values.Where(added => !added.Token.Normalized));
        _normalizedTokens = new AddedTokenCutter(_added.Values.Where(added => added.Token.Normalized));
        VocabularySize = Math.Max(vocabulary.Size, _added.Keys.DefaultIfEmpty(-1).Max() + 1);

        var roles = parts.Roles ?? TokenRoles.ByName(parts.AddedTokens);
        (PaddingId, BeginId, EndId) = (IdOf(roles.Padding), IdOf(roles.Begin), IdOf(roles.End));

        string Sought(AddedToken token) => 
            token.Normalized ? parts.Normalizer?.NormalizeToken(token.Text) ?? token.Text : token.Text;

        int? IdOf(string? name) => name is null
            ? null
            : Find(name) ?? throw new ArgumentException($"'{name}' is to pad, begin or end sequences but is no token.");
    }

    /// <summary>What people call its model, such as <c>byte-pair encoding</c>.</summary>
    public abstract string ModelName { get; }

    /// <summary>The greatest id and one: how many rows an embedding needs.</summary>
    public int VocabularySize { get; }

    /// <summary>The id that fills up short sequences, or null where there is none.</summary>
    public int? PaddingId { get; }

    /// <summary>The id before a sequence, or null where there is none.</summary>
    public int? BeginId { get; }

    /// <summary>The id after a sequence, or null where there is none.</summary>
    public int? EndId { get; }

    /// <summary>
    /// The tokens that <see cref="Encode(string)"/> looks for before anything else, special ones among them.
    /// </summary>
    public IReadOnlyList<AddedToken> AddedTokens => _parts.AddedTokens;

    /// <summary>
    /// The tokens whose roles the tokenizer's files name. <see cref="PaddingId"/>, <see cref="BeginId"/> and <see cref="EndId"/> may
    /// be those of well known tokens where files name none.
    /// </summary>
    public TokenRoles NamedRoles => _parts.NamedRoles;

    /// <summary>
    /// The ids of tokens that end a turn or a text by their names in every model that has them, such as <c>&lt;|im_end|&gt;</c> and
    /// <c>&lt;end_of_turn&gt;</c>, the least first: those of llama.cpp.
    /// </summary>
    public IReadOnlyList<int> EndsByName => GgmlEnds.In(Find);

    /// <summary>What is around the model.</summary>
    internal TokenizerParts Parts => _parts;

    /// <summary>
    /// The ids of a text in which added tokens count: <c>"&lt;/s&gt;"</c> gives <see cref="EndId"/>. Nothing is put
    /// around it. This is Hugging Face's <c>encode(text, add_special_tokens=False)</c>; for what users and corpora
    /// write take <see cref="EncodeOrdinary(string)"/>.
    /// </summary>
    /// <param name="text">Any text; a surrogate without its partner is read as U+FFFD.</param>
    public int[] Encode(string text)
    {
        var ids = new List<int>();
        Encode(text, ids);
        return [.. ids];
    }

    /// <summary>Appends what <see cref="Encode(string)"/> gives.</summary>
    /// <param name="text">Any text; a surrogate without its partner is read as U+FFFD.</param>
    /// <param name="into">Where the ids go.</param>
    public void Encode(string text, List<int> into)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(into);
        var whole = Characters.WellFormed(text);
        foreach (var stretch in _rawTokens.Cut(whole))
        {
            if (stretch.Id is { } id) into.Add(id);
            else EncodeAroundNormalizedTokens(whole[stretch.Start..stretch.Stop], stretch.Start == 0, into);
        }
    }

    /// <summary>
    /// The ids of a text in which nothing is special: <c>"&lt;/s&gt;"</c> gives the ids of its characters, so a text
    /// cannot end its own sequence or pass for another speaker.
    /// </summary>
    /// <param name="text">Any text; a surrogate without its partner is read as U+FFFD.</param>
    public int[] EncodeOrdinary(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        EncodeOrdinary(text, ids);
        return [.. ids];
    }

    /// <summary>Appends what <see cref="EncodeOrdinary(string)"/> gives.</summary>
    /// <param name="text">Any text; a surrogate without its partner is read as U+FFFD.</param>
    /// <param name="into">Where the ids go.</param>
    public void EncodeOrdinary(ReadOnlySpan<char> text, List<int> into)
    {
        ArgumentNullException.ThrowIfNull(into);
        EncodePieces(Normalized(Characters.WellFormed(text)), atStart: true, into);
    }

    /// <summary>
    /// The ids of a text as its model was trained to read it: those of <see cref="Encode(string)"/> with what the
    /// file's post-processor puts before and after. Hugging Face's <c>encode(text)</c>.
    /// </summary>
    /// <param name="text">Any text; a surrogate without its partner is read as U+FFFD.</param>
    public int[] EncodeSequence(string text)
    {
        var ids = new List<int>(_parts.PostProcessor?.Before ?? []);
        Encode(text, ids);
        ids.AddRange(_parts.PostProcessor?.After ?? []);
        return [.. ids];
    }

    /// <summary>
    /// The text of ids. Special tokens, and ids that are no token's, are left out; bytes that are no UTF-8 become
    /// U+FFFD.
    /// </summary>
    /// <param name="ids">Any ids.</param>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var (step, pieces) = (BeginDecoding(), new List<string>(ids.Length));
        foreach (var id in ids)
            if (DecodedToken(id) is { } token) step.Add(token, pieces);
        step.Finish(pieces);
        return string.Concat(pieces);
    }

    /// <summary>A token as the vocabulary writes it, such as <c>Ġthe</c> for <c>" the"</c>.</summary>
    /// <param name="id">From 0 to <see cref="VocabularySize"/> − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">No token has this id.</exception>
    public string TokenText(int id) => TextOrNull(id) ?? throw new ArgumentOutOfRangeException(
        nameof(id), id, $"No token has this id; ids go from 0 to {VocabularySize - 1}.");

    /// <summary>The id of a token written as the vocabulary writes it, or null where there is none.</summary>
    /// <param name="token">Such as <c>Ġthe</c> or <c>&lt;/s&gt;</c>.</param>
    public int? Find(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _addedIds.TryGetValue(token, out var id) ? id : _vocabulary.Find(token);
    }

    /// <summary>
    /// Writes Hugging Face's <c>tokenizer.json</c>. The file appears only when it is whole. <see cref="TokenRoles"/>
    /// are no part of it.
    /// </summary>
    /// <param name="path">The file, or a folder that will hold <c>tokenizer.json</c>.</param>
    /// <exception cref="IOException">It cannot be written; what was there before is still there.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        TokenizerFile.Write(path, _parts, WriteModel);
    }

    /// <summary>
    /// Reads Hugging Face's <c>tokenizer.json</c>, or sentencepiece's <c>tokenizer.model</c>: a file is one where its
    /// name ends in <c>.model</c>. What <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c> and <c>added_tokens.json</c> beside
    /// it say of special tokens, and of what stands around a text, counts as it does in transformers.
    /// </summary>
    /// <param name="path">The file, or the folder that holds one of these names; of two the first is read.</param>
    /// <param name="roles">
    /// Which tokens pad, begin and end a sequence; null for those that the files name, or by the names of well known ones.
    /// </param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is damaged, or holds a kind of part that is not supported; the message names the file, the key and the
    /// value.
    /// </exception>
    /// <exception cref="ArgumentException">A token of <paramref name="roles"/> is not in the file.</exception>
    public static Tokenizer Load(string path, TokenRoles? roles = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            var model = Path.Combine(path, SentencePieceFile.Name);
            path = Path.Combine(path, TokenizerFile.Name);
            if (!File.Exists(path) && File.Exists(model)) path = model;
        }

        return path.EndsWith(SentencePieceFile.Extension, StringComparison.Ordinal)
            ? SentencePieceFile.Read(path, roles)
            : TokenizerFile.Read(path, roles);
    }

    /// <summary>
    /// Reads a rank file of tiktoken, which holds byte-level BPE without the patterns that cut texts and without special
    /// tokens.
    /// </summary>
    /// <param name="path">The file: on each line a token in base 64, a blank, and its rank, from 0 on.</param>
    /// <param name="patterns">
    /// Regular expressions that cut texts, one after the other, such as
    /// <see cref="SplitPreTokenizer.Llama3Pattern"/>; at least one.
    /// </param>
    /// <param name="added">Tokens with ids after those of the file; null for none.</param>
    /// <param name="roles">Which tokens pad, begin and end a sequence; null to go by names.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged; the message names file and line.</exception>
    /// <exception cref="ArgumentException">A pattern cannot be read, or an id is taken.</exception>
    public static BytePairTokenizer LoadTiktoken(
        string path, IReadOnlyList<string> patterns, IReadOnlyList<AddedToken>? added = null, TokenRoles? roles = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(patterns);
        if (patterns.Count == 0) throw new ArgumentException("There is no pattern.", nameof(patterns));
        return TiktokenFile.Read(path, patterns, added ?? [], roles);
    }

    /// <summary>What turns the texts of tokens, one after the other, into the text that <see cref="Decode"/> gives.</summary>
    internal DecoderStep BeginDecoding() => _parts.Decoder?.Begin() ?? new SpacedStep();

    /// <summary>What decoding is given of a token; null where it is left out: special tokens, and ids that are no token's.</summary>
    internal string? DecodedToken(int id)
    {
        if (_controlIds.Contains(id)) return null;
        if (!_added.TryGetValue(id, out var added)) return _vocabulary.TextOf(id);
        return added.Token.Special ? null : added.Sought;
    }

    /// <summary>Whether a token has this id.</summary>
    internal bool Contains(int id) => TextOrNull(id) is not null;

    /// <summary>Appends the ids of one piece of text, which is not empty.</summary>
    private protected abstract void EncodePiece(ReadOnlySpan<char> piece, List<int> into);

    /// <summary>Writes the <c>model</c> of <c>tokenizer.json</c>, an object.</summary>
    private protected abstract void WriteModel(Utf8JsonWriter writer);

    private string? TextOrNull(int id) =>
        _added.TryGetValue(id, out var added) ? added.Token.Text : _vocabulary.TextOf(id);

    private ReadOnlySpan<char> Normalized(ReadOnlySpan<char> text) =>
        _parts.Normalizer is null ? text : _parts.Normalizer.Normalize(text.ToString());

    private void EncodeAroundNormalizedTokens(ReadOnlySpan<char> text, bool atStart, List<int> into)
    {
        var normalized = Normalized(text);
        foreach (var stretch in _normalizedTokens.Cut(normalized))
        {
            if (stretch.Id is { } id) into.Add(id);
            else EncodePieces(normalized[stretch.Start..stretch.Stop], atStart && stretch.Start == 0, into);
        }
    }

    private void EncodePieces(ReadOnlySpan<char> text, bool atStart, List<int> into)
    {
        if (text.IsEmpty) return;
        if (_parts.PreTokenizer is not { } preTokenizer)
        {
            EncodePiece(text, into);
            return;
        }

        var pieces = new List<Piece>(text.Length / 4 + 1);
        text = preTokenizer.Run(text, atStart, pieces);
        foreach (var piece in CollectionsMarshal.AsSpan(pieces))
            EncodePiece(text.Slice(piece.Start, piece.Length), into);
    }
}
