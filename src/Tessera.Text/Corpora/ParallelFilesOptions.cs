namespace Tessera.Text.Corpora;

/// <summary>
/// Pairs from two text files a split, line <c>n</c> of one belonging to line <c>n</c> of the other (the layout of
/// translation data sets); <c>"kind": "parallel-files"</c> in a recipe. A pair's group is its source, so equal
/// sources stay in one split; a pair with a blank side is left out. Paths start from the recipe's folder.
/// </summary>
/// <param name="TrainSource">File of the training sources, a line each.</param>
/// <param name="TrainTarget">File of the training targets, a line each.</param>
/// <param name="ValidationSource">File of the validation sources; where null, validation is drawn from training.</param>
/// <param name="ValidationTarget">File of the validation targets; null where <paramref name="ValidationSource"/> is.</param>
/// <param name="TestSource">File of the test sources; where null, test is drawn from training.</param>
/// <param name="TestTarget">File of the test targets; null where <paramref name="TestSource"/> is.</param>
public sealed record ParallelFilesOptions(
    string TrainSource, string TrainTarget,
    string? ValidationSource = null, string? ValidationTarget = null,
    string? TestSource = null, string? TestTarget = null) : CorpusOptions
{
    /// <summary>The encoding of the files: <c>utf-8</c>, <c>latin-1</c>, <c>windows-1252</c> or another name that IANA lists.</summary>
    public string Encoding { get; init; } = TextFile.Usual;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireEncoding(Encoding);
        RequireText("trainSource", TrainSource);
        RequireText("trainTarget", TrainTarget);
        RequireBoth("validationSource", ValidationSource, "validationTarget", ValidationTarget);
        RequireBoth("testSource", TestSource, "testTarget", TestTarget);
    }

    /// <inheritdoc/>
    protected override Corpus Read(string baseFolder, CancellationToken cancellationToken)
    {
        var dropped = new DropCount();
        var train = Pairs("train", TrainSource, TrainTarget);
        return GroupSplit.Divide(
            this, Path.GetFullPath(TrainSource, baseFolder), dropped, train!,
            Pairs("validation", ValidationSource, ValidationTarget), Pairs("test", TestSource, TestTarget));

        List<Example>? Pairs(string split, string? source, string? target)
        {
            if (source is null || target is null) return null;
            return ReadPairs(
                CorpusPath.File(baseFolder, $"{split}Source", source), CorpusPath.File(baseFolder, $"{split}Target", target),
                dropped, cancellationToken);
        }
    }

    private List<Example> ReadPairs(
        string sourcePath, string targetPath, DropCount dropped, CancellationToken cancellationToken)
    {
        var sources = TextFile.Lines(sourcePath, Encoding, cancellationToken).ToList();
        var targets = TextFile.Lines(targetPath, Encoding, cancellationToken).ToList();
        if (sources.Count != targets.Count)
        {
            throw new InvalidDataException(
                $"parallel files must have equally many lines: {sourcePath} has {sources.Count}, " +
                $"{targetPath} has {targets.Count}");
        }

        var pairs = new List<Example>(sources.Count);
        foreach (var (source, target) in sources.Zip(targets))
        {
            if (string.IsNullOrWhiteSpace(source) || string.IsNullOrWhiteSpace(target)) dropped.Add("empty source or target");
            else pairs.Add(new Example(source, target, source));
        }

        return pairs;
    }

    private static void RequireBoth(string sourceKey, string? source, string targetKey, string? target)
    {
        if (source is null != target is null)
        {
            var (given, missing) = source is null ? (targetKey, sourceKey) : (sourceKey, targetKey);
            throw new ArgumentException($"data.{given} is given but data.{missing} is not; a split needs both");
        }
    }
}
