using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Writes one text in place of another, or in place of what a regular expression matches.</summary>
internal sealed class ReplaceNormalizer(Replacement replacement) : Normalizer
{
    private protected override string Kind => "Replace";

    public override string Normalize(string text) => replacement.Apply(text);

    private protected override void WriteMembers(Utf8JsonWriter writer) => replacement.WriteMembers(writer);
}
