namespace Tessera.Nn.Heads;

/// <summary>Options of heads that tell labels apart.</summary>
public abstract record LabelHeadOptions : HeadOptions
{
    private const int UnsaidCount = 2, MaxCount = 1 << 20;

    /// <summary>The labels, at least two and each once, in the order of their logits; where null those that the training examples have, in
    /// alphabetical order. Before examples are read there are 2, called 0 and 1.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>The share of what the last map reads that is dropped while training; in [0, 1).</summary>
    public float Dropout { get; init; }

    /// <summary>The labels, checked.</summary>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    internal IReadOnlyList<string> CheckedLabels(PartBuilder part)
    {
        part.Require(Dropout is >= 0 and < 1, "dropout", Dropout, "at least 0, below 1");
        if (Labels is null) return [.. Enumerable.Range(0, UnsaidCount).Select(number => $"{number}")];
        part.Require(Labels.Count is >= 2 and <= MaxCount, "labels", $"a list of {Labels.Count}", $"2 to {MaxCount} labels");
        var blank = Labels.Any(string.IsNullOrWhiteSpace);
        part.Require(!blank, "labels", "a list with an empty label", "labels that are not empty");
        var twice = Labels.GroupBy(label => label).FirstOrDefault(alike => alike.Count() > 1)?.Key;
        part.Require(twice is null, "labels", $"a list that has '{twice}' twice", "each label once");
        return Labels;
    }
}
