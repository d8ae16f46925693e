using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Puts a text before every text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : Normalizer
{
    private protected override string Kind => "Prepend";

    public override string Normalize(string text) => text.Length == 0 ? text : prefix + text;

    private protected override void WriteMembers(Utf8JsonWriter writer) => writer.WriteString("prepend", prefix);
}

/// <summary>Takes white space from the ends of a text.</summary>
internal sealed class StripNormalizer(bool left, bool right) : Normalizer
{
    private protected override string Kind => "Strip";

    public override string Normalize(string text)
    {
        if (left) text = text.TrimStart();
        return right ? text.TrimEnd() : text;
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("strip_left", left);
        writer.WriteBoolean("strip_right", right);
    }

    internal static new StripNormalizer Read(JsonPart part) =>
        new(part.Flag("strip_left", otherwise: true), part.Flag("strip_right", otherwise: true));
}
