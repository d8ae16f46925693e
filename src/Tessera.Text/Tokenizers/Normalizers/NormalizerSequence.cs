using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Normalizers one after the other.</summary>
internal sealed class NormalizerSequence(params IReadOnlyList<Normalizer> steps) : Normalizer
{
    private protected override string Kind => "Sequence";

    public override string Normalize(string text)
    {
        foreach (var step in steps) text = step.Normalize(text);
        return text;
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("normalizers");
        foreach (var step in steps) step.Write(writer);
        writer.WriteEndArray();
    }
}
