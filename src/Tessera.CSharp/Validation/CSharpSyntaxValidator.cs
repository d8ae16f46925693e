using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;
using Tessera.Generation.Validation;

namespace Tessera.CSharp.Validation;

/// <summary>
/// Whether a text is C#, by Roslyn's parser. A text is valid as members of a type (methods, constructors of any name,
/// properties, indexers, operators, events, fields, nested types; a missing body is no error of syntax), or as a whole file,
/// which may be statements only. A text of blanks and comments is not valid, nor are the bare names that an enumeration
/// may list.
/// </summary>
public sealed class CSharpSyntaxValidator : SyntaxValidator
{
    /// <summary>
    /// The most characters a valid text has; longer ones are not parsed, because the time that the parser takes for what is
    /// not C# can grow with the square of the length.
    /// </summary>
    public const int MaximumLength = 50_000;

    /// <summary>How deep brackets may be nested in a valid text, those of type arguments too, for the same reason.</summary>
    public const int MaximumDepth = 200;

    // The text stands on lines of its own so that directives and line comments in it do not reach what is around it.
    private const string BeforeMembers = "class C\n{\n", AfterMembers = "\n}";

    private static readonly Error NoCode = new(0, "there is no code");

    private static readonly CSharpParseOptions Options = new(LanguageVersion.Latest, DocumentationMode.None);

    /// <inheritdoc/>
    public override string Language => "C#";

    /// <inheritdoc/>
    public override bool IsValid(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Refusal(text) is null
            && DeepStack.Run(text, () => ErrorAsMembers(text) is null || ErrorAsFile(text) is null);
    }

    /// <inheritdoc/>
    /// <remarks>Of the two ways to read the text, the error is of the one that goes further.</remarks>
    public override string? FirstError(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var refusal = Refusal(text);
        if (refusal is not null) return refusal.Describe(text);
        return DeepStack.Run(text, () =>
        {
            if (ErrorAsMembers(text) is not { } asMembers || ErrorAsFile(text) is not { } asFile) return null;
            return (asMembers.Position >= asFile.Position ? asMembers : asFile).Describe(text);
        });
    }

    private static Error? ErrorAsMembers(string text)
    {
        var root = SyntaxFactory.ParseCompilationUnit(BeforeMembers + text + AfterMembers, options: Options);
        if (FirstDiagnostic(root) is { } diagnostic)
            return new Error(Math.Clamp(diagnostic.Position - BeforeMembers.Length, 0, text.Length), diagnostic.Message);

        // "} class D {" would end our class and open one that our brace ends.
        var type = root.Members is [ClassDeclarationSyntax only] ? only : null;
        if (type?.CloseBraceToken.SpanStart != BeforeMembers.Length + text.Length + 1)
            return new Error(0, "a bracket is closed that was not opened");
        return type.Members.Count == 0 ? NoCode : null;
    }

    private static Error? ErrorAsFile(string text)
    {
        var root = SyntaxFactory.ParseCompilationUnit(text, options: Options);
        return FirstDiagnostic(root) ?? (root.GetFirstToken(includeZeroWidth: true) == root.EndOfFileToken ? NoCode : null);
    }

    private static Error? FirstDiagnostic(CompilationUnitSyntax root)
    {
        if (!root.ContainsDiagnostics) return null;
        var error = root.GetDiagnostics().FirstOrDefault(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);
        return error is null
            ? null
            : new Error(error.Location.SourceSpan.Start, $"{error.Id}: {error.GetMessage(CultureInfo.InvariantCulture)}");
    }

    /// <summary>Why a text is not even parsed, or null.</summary>
    private static Error? Refusal(string text)
    {
        if (text.Length > MaximumLength)
            return new Error(0, $"the text has {text.Length} characters, more than {MaximumLength}");
        if (BracketDepth.FirstBeyond(text, MaximumDepth) is { } place)
            return new Error(place, $"brackets are nested deeper than {MaximumDepth}");
        return null;
    }

    private sealed record Error(int Position, string Message)
    {
        public string Describe(string text)
        {
            var place = SourceText.From(text).Lines.GetLinePosition(Position);
            return string.Create(CultureInfo.InvariantCulture, $"{place.Line + 1}:{place.Character + 1}: {Message}");
        }
    }
}
