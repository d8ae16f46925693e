namespace Tessera.Models;

/// <summary>The ids of the special tokens that the tokenizers trained here begin with.</summary>
public static class SpecialTokens
{
    /// <summary>Fills rows up to the length of the longest.</summary>
    public const int Padding = 0;

    /// <summary>Stands before a sequence.</summary>
    public const int Begin = 1;

    /// <summary>Stands after a sequence.</summary>
    public const int End = 2;

    /// <summary>Their texts, in the order of their ids.</summary>
    public static IReadOnlyList<string> Texts { get; } = ["<pad>", "<s>", "</s>"];
}
