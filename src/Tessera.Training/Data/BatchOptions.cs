using Tessera.Nn;

namespace Tessera.Training.Data;

/// <summary>Options of putting examples together; <c>"batches"</c> in a recipe.</summary>
public sealed record BatchOptions
{
    /// <summary>How many tokens a batch holds a side, padding included: rows × longest row. At least 1.</summary>
    public int Tokens { get; init; } = 4096;

    /// <summary>The longest target in tokens: longer pairs are left out, longer texts are cut into several. A decoder's pairs and
    /// conversations count whole, source and target together. 2 to 1,048,576.</summary>
    public int Length { get; init; } = 256;

    /// <summary>The longest source in tokens: the ends of longer ones are cut off. 1 to 1,048,576.</summary>
    public int SourceLength { get; init; } = 256;

    internal void Validate()
    {
        if (Tokens is < 1 or > 1 << 24) throw new RecipeException("batches.tokens", $"is {Tokens}; allowed: 1 to {1 << 24}");
        if (Length is < 2 or > 1 << 20) throw new RecipeException("batches.length", $"is {Length}; allowed: 2 to {1 << 20}");
        if (SourceLength is < 1 or > 1 << 20)
            throw new RecipeException("batches.sourceLength", $"is {SourceLength}; allowed: 1 to {1 << 20}");
    }
}
