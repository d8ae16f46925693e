using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Changes text before it is cut; the <c>normalizer</c> of <c>tokenizer.json</c>. Files may hold more kinds than those
/// that can be made here: <see cref="NfcNormalizer"/> and its like, <see cref="LowercaseNormalizer"/>.
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

    /// <summary>An added token as it is looked for in normalized text.</summary>
    internal virtual string NormalizeToken(string text) => Normalize(text);

    /// <summary>Writes it as an object of <c>tokenizer.json</c>.</summary>
    internal virtual void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", Kind);
        WriteMembers(writer);
        writer.WriteEndObject();
    }

    /// <summary>Writes what there is beside <c>type</c>.</summary>
    private protected virtual void WriteMembers(Utf8JsonWriter writer)
    {
    }

    /// <summary>Reads the object that <see cref="Write"/> writes.</summary>
    internal static Normalizer Read(JsonPart part) => part.Required("type").Text() switch
    {
        "NFC" => new NfcNormalizer(),
        "NFD" => new NfdNormalizer(),
        "NFKC" => new NfkcNormalizer(),
        "NFKD" => new NfkdNormalizer(),
        "Lowercase" => new LowercaseNormalizer(),
        "StripAccents" => new StripAccentsNormalizer(),
        "Strip" => StripNormalizer.Read(part),
        "Prepend" => new PrependNormalizer(part.Required("prepend").Text()),
        "Replace" => new ReplaceNormalizer(Replacement.Read(part)),
        "Precompiled" => PrecompiledNormalizer.Read(part),
        "BertNormalizer" => BertNormalizer.Read(part),
        "Sequence" => new NormalizerSequence([.. part.Required("normalizers").Items().Select(Read)]),
        _ => throw part.Required("type").Unsupported(
            "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, Precompiled, BertNormalizer or "
            + "Sequence"),
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
        if (Ascii.IsValid(text)) return text.ToLowerInvariant();
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
