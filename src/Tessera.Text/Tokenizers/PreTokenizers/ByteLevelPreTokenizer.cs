using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// GPT-2's way: pieces by its pattern, and models that start from the bytes of UTF-8, so that no text is unknown to
/// them.
/// </summary>
/// <param name="addPrefixSpace">Whether a blank goes before a text that does not start with one.</param>
/// <param name="usePattern">Whether GPT-2's pattern cuts; false where other pre-tokenizers have cut before.</param>
public sealed class ByteLevelPreTokenizer(bool addPrefixSpace = false, bool usePattern = true) : PreTokenizer
{
    /// <summary>Whether it cuts at all.</summary>
    internal bool UsesPattern => usePattern;

    internal override bool IsByteLevel => true;

    internal override IReadOnlyList<string>? Patterns => addPrefixSpace ? null : usePattern ? [SplitPreTokenizer.Gpt2Pattern] : [];

    internal override bool ChangesText => addPrefixSpace;

    internal override ReadOnlySpan<char> Prepared(ReadOnlySpan<char> text, bool atStart) =>
        addPrefixSpace && !text.IsEmpty && text[0] != ' ' ? $" {text}" : text;

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        if (usePattern) SplitPattern.Gpt2.Match(text, offset, pieces);
        else if (text.Length > 0) pieces.Add(new Piece(offset, text.Length));
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", addPrefixSpace);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", usePattern);
        writer.WriteEndObject();
    }

    internal static new ByteLevelPreTokenizer Read(JsonPart part) =>
        new(part.Flag("add_prefix_space", otherwise: true), part.Flag("use_regex", otherwise: true));
}
