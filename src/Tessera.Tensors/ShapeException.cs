using System.Runtime.CompilerServices;

namespace Tessera.Tensors;

/// <summary>An operation was given a tensor whose shape or type does not fit; the message names the operation, the
/// argument, what was found and what is allowed.</summary>
public sealed class ShapeException : ArgumentException
{
    /// <summary>Creates the exception with a message of its own.</summary>
    public ShapeException(string message) : base(message) { }

    /// <summary>Creates an exception without details.</summary>
    public ShapeException() { }

    /// <summary>Creates the exception with a message and a cause.</summary>
    public ShapeException(string message, Exception innerException) : base(message, innerException) { }

    internal static void Require(bool condition, string operation, string argument, Tensor found, string allowed)
    {
        if (!condition)
            throw new ShapeException($"{operation}: {argument} is {found.Type} {found.Shape}, expected {allowed}");
    }

    /// <summary>As above; what is allowed is put into words only where it is needed, so that checking makes no garbage.</summary>
    internal static void Require(
        bool condition, string operation, string argument, Tensor found,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref Allowed allowed)
    {
        if (!condition) Require(condition, operation, argument, found, allowed.Text.ToStringAndClear());
    }

    internal static void Require(bool condition, string operation, string argument, Tensor found, string other, Tensor against)
    {
        if (!condition)
        {
            throw new ShapeException(
                $"{operation}: {argument} is {found.Type} {found.Shape}, which does not fit {other}, {against.Type} {against.Shape}");
        }
    }

    /// <summary>An interpolated string that is not built where the condition holds.</summary>
    [InterpolatedStringHandler]
    internal ref struct Allowed
    {
        public DefaultInterpolatedStringHandler Text;

        public Allowed(int literalLength, int formattedCount, bool condition, out bool isNeeded)
        {
            isNeeded = !condition;
            Text = isNeeded ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
        }

        public void AppendLiteral(string text) => Text.AppendLiteral(text);

        public void AppendFormatted<T>(T value) => Text.AppendFormatted(value);
    }
}
