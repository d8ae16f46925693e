using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Whole words: each piece of the pre-tokenizer is one token, or the unknown one.</summary>
public sealed class WordLevelTokenizer : Tokenizer
{
    private const string UsualUnknown = "<unk>";

    private readonly Vocabulary _vocabulary;
    private readonly string _unknown;
    private readonly int _unknownId;

    private WordLevelTokenizer(Vocabulary vocabulary, TokenizerParts parts, string unknown, int unknownId) : base(vocabulary, parts) =>
        (_vocabulary, _unknown, _unknownId) = (vocabulary, unknown, unknownId);

    /// <summary>Reads the <c>model</c> of <c>tokenizer.json</c>.</summary>
    internal static WordLevelTokenizer Read(JsonPart model, Vocabulary vocabulary, TokenizerParts parts)
    {
        var part = model.Optional("unk_token");
        var unknown = part?.Text() ?? UsualUnknown;
        return vocabulary.Find(unknown) is { } id
            ? new WordLevelTokenizer(vocabulary, parts, unknown, id)
            : throw (part ?? model.Required("vocab")).Wrong($"of tokens with the unknown one, '{unknown}', among them");
    }

    /// <inheritdoc/>
    public override string ModelName => "WordLevel";

    private protected override void WriteModel(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "WordLevel");
        writer.WriteStartObject("vocab");
        foreach (var (token, id) in _vocabulary.InOrder) writer.WriteNumber(token, id);
        writer.WriteEndObject();
        writer.WriteString("unk_token", _unknown);
        writer.WriteEndObject();
    }

    private protected override void EncodePiece(ReadOnlySpan<char> piece, List<int> into) =>
        into.Add(_vocabulary.Find(piece) ?? _unknownId);
}
