using Tessera.Generation.Validation;

namespace Tessera.Evaluation.Tests;

/// <summary>A language whose texts end with a semicolon, and hold no other.</summary>
internal sealed class SemicolonValidator : SyntaxValidator
{
    public override string Language => "Semicolon";

    public override string? FirstError(string text)
    {
        var place = text.IndexOf(';', StringComparison.Ordinal);
        if (place < 0) return $"1:{text.Length + 1}: ; expected";
        return place == text.Length - 1 ? null : $"1:{place + 2}: nothing expected after ;";
    }
}
