namespace Tessera.Nn;

/// <summary>A recipe asks for something that cannot be; the message starts with the path of the option, such as
/// <c>model.decoder.attention.heads</c>, and says what was found and what is allowed.</summary>
public sealed class RecipeException : Exception
{
    private readonly string[]? _problems;

    /// <summary>Creates the exception for one option.</summary>
    /// <param name="path">Where: the option's path in the recipe.</param>
    /// <param name="problem">What was found and what is allowed.</param>
    public RecipeException(string path, string problem) : base(path.Length == 0 ? problem : $"{path}: {problem}") => Path = path;

    /// <summary>Creates the exception for several options: each problem is a line of the message.</summary>
    /// <param name="problems">At least one.</param>
    public RecipeException(IReadOnlyList<RecipeException> problems)
        : base(string.Join('\n', problems.Select(problem => problem.Message))) =>
        (Path, _problems) = (problems[0].Path, [.. problems.SelectMany(problem => problem.Problems)]);

    /// <summary>Creates an exception without details.</summary>
    public RecipeException() { }

    /// <summary>Creates the exception with a message of its own.</summary>
    public RecipeException(string message) : base(message) { }

    /// <summary>Creates the exception with a message and a cause.</summary>
    public RecipeException(string message, Exception innerException) : base(message, innerException) { }

    /// <summary>The path in the recipe of the option, or of the first of several.</summary>
    public string Path { get; } = "";

    /// <summary>What is wrong, one line each: the message, or those of several options.</summary>
    public IReadOnlyList<string> Problems => _problems ?? [Message];
}
