namespace Tessera.Generation.Validation;

/// <summary>
/// Says whether a text is well formed in some language: its grammar only, not whether names exist or types agree. A
/// validator keeps no state and may be used from several threads at once.
/// </summary>
public abstract class SyntaxValidator
{
    /// <summary>What people call the language, such as <c>C#</c>.</summary>
    public abstract string Language { get; }

    /// <summary>Whether the text parses. Never throws for what a text contains.</summary>
    public virtual bool IsValid(string text) => FirstError(text) is null;

    /// <summary>
    /// What is wrong first in the text, as <c>line:column: message</c> with both counted from 1, or null where it parses. Never
    /// throws for what a text contains.
    /// </summary>
    public abstract string? FirstError(string text);
}
