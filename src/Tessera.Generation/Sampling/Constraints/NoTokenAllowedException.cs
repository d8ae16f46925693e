namespace Tessera.Generation.Sampling;

/// <summary>
/// No token may come next: a constraint, or what processors left, allows none. Whoever catches it may take tokens back and go on, or end
/// the sequence: nothing of it has changed.
/// </summary>
public sealed class NoTokenAllowedException : InvalidOperationException
{
    /// <summary>No token may come after a history.</summary>
    /// <param name="reason">Who allows none, such as <c>AllowedTokens allows no token</c>.</param>
    /// <param name="history">Where.</param>
    public NoTokenAllowedException(string reason, TokenHistory history)
        : base($"{reason} at position {history.Position} of sequence {history.Sequence}") =>
        (Position, Sequence) = (history.Position, history.Sequence);

    /// <summary>Which generated token it would have been, from 0.</summary>
    public int Position { get; }

    /// <summary>Which of the sequences that are decoded together.</summary>
    public int Sequence { get; }
}
