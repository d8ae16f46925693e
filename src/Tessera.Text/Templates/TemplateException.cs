namespace Tessera.Text.Templates;

/// <summary>What went wrong in a template; the names are Python's and Jinja's, which authors of templates know.</summary>
public enum TemplateErrorKind
{
    /// <summary>The template cannot be read.</summary>
    SyntaxError,

    /// <summary>The template itself refused, by <c>raise_exception</c>.</summary>
    TemplateError,

    /// <summary>Something undefined was called, or an attribute of it asked for.</summary>
    UndefinedError,

    /// <summary>An operation does not apply to values of these types.</summary>
    TypeError,

    /// <summary>A value of the right type cannot be used.</summary>
    ValueError,

    /// <summary>A division by zero.</summary>
    ZeroDivisionError,

    /// <summary>A result that is too large, or a template that does not come to an end.</summary>
    OverflowError,

    /// <summary>An attempt to reach Python's internals or to change a value.</summary>
    SecurityError,
}

/// <summary>A template cannot be read or rendered.</summary>
public sealed class TemplateException : Exception
{
    internal TemplateException(TemplateErrorKind kind, string message, int line = 0)
        : base(line > 0 ? $"chat template, line {line}: {message}" : message) => (Kind, Reason, Line) = (kind, message, line);

    /// <summary>What kind of error it is.</summary>
    public TemplateErrorKind Kind { get; }

    /// <summary>The message without the place.</summary>
    public string Reason { get; }

    /// <summary>The line of the template, from 1; 0 where it is not known.</summary>
    public int Line { get; }

    /// <summary>The same error with a line, where it has none yet.</summary>
    internal TemplateException At(int line) => Line > 0 ? this : new TemplateException(Kind, Reason, line);
}
