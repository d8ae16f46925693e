namespace Tessera.Text.Corpora;

/// <summary>
/// Pairs, or plain texts, from files with a JSON object a line; <c>"kind": "jsonl"</c> in a recipe. Blank lines are
/// passed over, examples with blank text are left out. Files are UTF-8, paths start from the recipe's folder.
/// </summary>
/// <param name="Train">File of the training examples.</param>
/// <param name="Validation">File of the validation examples; where null, validation is drawn from training.</param>
/// <param name="Test">File of the test examples; where null, test is drawn from training.</param>
/// <param name="Source">Field that holds a pair's source.</param>
/// <param name="Target">Field that holds a pair's target.</param>
/// <param name="Text">
/// Field that holds plain text; where given, the examples have no source, and <paramref name="Source"/> and
/// <paramref name="Target"/> are not read.
/// </param>
/// <param name="Group">
/// Field that names what an example belongs to; an object without it is its own group, with all of equal source (or text).
/// </param>
public sealed record JsonLinesOptions(
    string Train, string? Validation = null, string? Test = null,
    string Source = "source", string Target = "target", string? Text = null, string Group = "group") : CorpusOptions
{
    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireText("train", Train);
        RequireText("source", Source);
        RequireText("target", Target);
        RequireText("group", Group);
        if (Text is not null) RequireText("text", Text);
    }

    /// <inheritdoc/>
    protected override Corpus Read(string baseFolder, CancellationToken cancellationToken)
    {
        var dropped = new DropCount();
        var train = Examples("train", Train);
        return GroupSplit.Divide(
            this, Path.GetFullPath(Train, baseFolder), dropped, train!,
            Examples("validation", Validation), Examples("test", Test));

        List<Example>? Examples(string key, string? path) =>
            path is null ? null : ReadExamples(CorpusPath.File(baseFolder, key, path), dropped, cancellationToken);
    }

    private List<Example> ReadExamples(string path, DropCount dropped, CancellationToken cancellationToken)
    {
        var examples = new List<Example>();
        var number = 0;
        foreach (var line in TextFile.Lines(path, TextFile.Usual, cancellationToken))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            var example = ReadExample(line, $"{path}:{number}");
            if (string.IsNullOrWhiteSpace(example.Target) || example.Source is { } source && string.IsNullOrWhiteSpace(source))
                dropped.Add("empty source or target");
            else
                examples.Add(example);
        }

        return examples;
    }

    private Example ReadExample(string line, string place) => JsonLine.Read(line, place, root =>
    {
        var source = Text is null ? JsonLine.Required(root, Source, place) : null;
        var target = JsonLine.Required(root, Text ?? Target, place);
        return new Example(source, target, JsonLine.Optional(root, Group, place) ?? source ?? target);
    });
}
