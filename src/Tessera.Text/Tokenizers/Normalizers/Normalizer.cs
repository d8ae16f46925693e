using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Changes text before it is cut; the <c>normalizer</c> of <c>tokenizer.json</c>. Kinds: <see cref="NfcNormalizer"/>,
/// <see cref="LowercaseNormalizer"/>.
/// </summary>
public abstract class Normalizer
{
    private protected Normalizer()
    {
    }

    /// <summary>The value of <c>type</c> in a file.</summary>
    private protected abstract string Kind { get; }

    /// <summary>The normalized text.</summary>
    /// <param name="text">Any text without a surrogate that stands alone.</param>
    public abstract string Normalize(string text);

    /// <summary>Writes it as an object of <c>tokenizer.json</c>.</summary>
    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", Kind);
        writer.WriteEndObject();
    }

    /// <summary>Reads the object that <see cref="Write"/> writes.</summary>
    internal static Normalizer Read(JsonPart part) => part.Required("type").Text() switch
    {
        "NFC" => new NfcNormalizer(),
        "Lowercase" => new LowercaseNormalizer(),
        _ => throw part.Required("type").Unsupported("NFC or Lowercase"),
    };
}

/// <summary>
/// Lower case, character by character as Unicode gives it, without regard to language or place in the word.
/// </summary>
public sealed class LowercaseNormalizer : Normalizer
{
    private protected override string Kind => "Lowercase";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var lower = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            // The only character whose lower case is two.
            if (rune.Value == 'İ') lower.Append("i\u0307");
            else lower.Append(Rune.ToLowerInvariant(rune));
        }

        return lower.ToString();
    }
}
