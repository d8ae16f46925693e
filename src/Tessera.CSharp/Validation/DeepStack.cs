using System.Runtime.ExceptionServices;

namespace Tessera.CSharp.Validation;

/// <summary>
/// Runs a parser that recurses, on a stack that the text cannot overflow. An overflow ends the process, and Roslyn, which
/// watches its stack in most places, does not where it looks ahead for type arguments, in holes of interpolated strings and
/// in directives.
/// </summary>
internal static class DeepStack
{
    // Measured on .NET 10: a nested bracket takes up to about 1.1 KiB of stack, so this many fit what any thread has left.
    private const int ShallowOpenings = 64;

    // Enough for a bracket in every character of the longest text that is parsed.
    private const int StackBytes = 64 << 20;

    /// <summary>
    /// The function's result; it runs here where the text opens few brackets and has no directive, else on a thread of its own.
    /// </summary>
    public static T Run<T>(string text, Func<T> parse)
    {
        if (BracketDepth.Openings(text) <= ShallowOpenings && !text.Contains('#', StringComparison.Ordinal)) return parse();
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    result = parse();
                }
                catch (Exception exception)
                {
                    failure = ExceptionDispatchInfo.Capture(exception);
                }
            },
            StackBytes);
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }
}
