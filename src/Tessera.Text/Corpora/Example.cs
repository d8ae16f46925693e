namespace Tessera.Text.Corpora;

/// <summary>One piece of text to learn from.</summary>
/// <param name="Source">What the model reads, or null for plain text (language modelling).</param>
/// <param name="Target">What the model learns to write; never blank.</param>
/// <param name="Group">
/// What the example belongs to (a containing type, a document, a source text). Splits drawn from one file never
/// separate two examples of a group.
/// </param>
public sealed record Example(string? Source, string Target, string Group)
{
    /// <summary>A conversation, as a JSON object with <c>messages</c> and, where the model may call functions, <c>tools</c>, as chat
    /// templates read them; null where the example is none. <see cref="Target"/> is then what the assistant says in it.</summary>
    public string? Conversation { get; init; }

    /// <summary>All that is said in the example, to train a tokenizer on.</summary>
    public IEnumerable<string> Texts => Conversation is not null ? ChatLine.Contents(Conversation)
        : Source is null ? [Target]
        : [Source, Target];
}
