namespace Tessera.Text.Tokenizers;

/// <summary>The tokens <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>, which stand for the bytes of what is unknown.</summary>
internal sealed class ByteTokens
{
    private readonly int[] _ids;

    private ByteTokens(int[] ids) => _ids = ids;

    /// <summary>The tokens of a vocabulary, or null where one is missing.</summary>
    public static ByteTokens? Of(Vocabulary vocabulary)
    {
        var ids = new int[256];
        for (var value = 0; value < ids.Length; value++)
        {
            if (vocabulary.Find(ByteFallbackDecoder.TokenOf(value)) is not { } id) return null;
            ids[value] = id;
        }

        return new ByteTokens(ids);
    }

    /// <summary>Writes the tokens of the bytes of a well formed text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="into">Where they go; at least three places for each <c>char</c>.</param>
    /// <returns>How many there are.</returns>
    public int Write(ReadOnlySpan<char> text, Span<int> into)
    {
        var count = 0;
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)]) into[count++] = _ids[value];
        return count;
    }

    /// <summary>Appends the tokens of the bytes of a well formed text.</summary>
    public void Append(ReadOnlySpan<char> text, List<int> into)
    {
        Span<int> ids = stackalloc int[4];
        for (var i = 0; i < text.Length;)
        {
            var length = char.IsHighSurrogate(text[i]) ? 2 : 1;
            into.AddRange(ids[..Write(text.Slice(i, length), ids)]);
            i += length;
        }
    }
}
