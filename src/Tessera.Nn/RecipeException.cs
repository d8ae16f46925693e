namespace Tessera.Nn;

/// <summary>A recipe asks for something that cannot be; the message starts with the path of the option, such as
/// <c>model.decoder.attention.heads</c>, and says what was found and what is allowed.</summary>
public sealed class RecipeException : Exception
{
    /// <summary>Creates the exception for one option.</summary>
    /// <param name="path">Where: the option's path in the recipe.</param>
    /// <param name="problem">What was found and what is allowed.</param>
    public RecipeException(string path, string problem) : base(path.Length == 0 ? problem : $"{path}: {problem}") => Path = path;

    /// <summary>Creates an exception without details.</summary>
    public RecipeException() { }

    /// <summary>Creates the exception with a message of its own.</summary>
    public RecipeException(string message) : base(message) { }

    /// <summary>Creates the exception with a message and a cause.</summary>
    public RecipeException(string message, Exception innerException) : base(message, innerException) { }

    /// <summary>The option's path in the recipe.</summary>
    public string Path { get; } = "";
}
