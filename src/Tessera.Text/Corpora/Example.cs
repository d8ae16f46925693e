namespace Tessera.Text.Corpora;

/// <summary>One piece of text to learn from.</summary>
/// <param name="Source">What the model reads, or null for plain text (language modelling).</param>
/// <param name="Target">What the model learns to write; never blank.</param>
/// <param name="Group">
/// What the example belongs to (a containing type, a document, a source text). Splits drawn from one file never
/// separate two examples of a group.
/// </param>
public sealed record Example(string? Source, string Target, string Group);
