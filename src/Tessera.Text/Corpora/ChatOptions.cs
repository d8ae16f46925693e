namespace Tessera.Text.Corpora;

/// <summary>
/// Conversations, a JSON object a line with <c>messages</c>, each with a <c>role</c> and a <c>content</c>, and <c>tools</c> where there are
/// functions to call; <c>"kind": "chat"</c> in a recipe. A decoder learns what the assistant says; the chat template writes the rest.
/// Blank lines are passed over, conversations in which the assistant says nothing are left out. Paths start from the recipe's folder.
/// </summary>
/// <param name="Train">File of the training conversations.</param>
/// <param name="Validation">File of the validation conversations; where null, validation is drawn from training.</param>
/// <param name="Test">File of the test conversations; where null, test is drawn from training.</param>
/// <param name="Messages">Field that holds the messages.</param>
/// <param name="Group">
/// Field that names what a conversation belongs to; one without it belongs with all whose first user message is the same.
/// </param>
public sealed record ChatOptions(
    string Train, string? Validation = null, string? Test = null, string Messages = "messages", string Group = "group") : CorpusOptions
{
    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireText("train", Train);
        RequireText("messages", Messages);
        RequireText("group", Group);
    }

    /// <inheritdoc/>
    protected override Corpus Read(string baseFolder, CancellationToken cancellationToken)
    {
        var dropped = new DropCount();
        var train = Conversations("train", Train);
        return GroupSplit.Divide(
            this, Path.GetFullPath(Train, baseFolder), dropped, train!,
            Conversations("validation", Validation), Conversations("test", Test));

        List<Example>? Conversations(string key, string? path) =>
            path is null ? null : ReadFile(CorpusPath.File(baseFolder, key, path), dropped, cancellationToken);
    }

    private List<Example> ReadFile(string path, DropCount dropped, CancellationToken cancellationToken)
    {
        var (examples, number) = (new List<Example>(), 0);
        foreach (var line in TextFile.Lines(path, TextFile.Usual, cancellationToken))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (ChatLine.Read(line, Messages, Group, $"{path}:{number}") is { } example) examples.Add(example);
            else dropped.Add("no answer of the assistant");
        }

        return examples;
    }
}
