namespace Tessera.Generation.Sampling;

/// <summary>
/// A rule of sampling: it changes the logits of the tokens that may still be drawn, or takes some of them away, but never the last. One
/// after the other, in the order of <see cref="DecodingOptions.Order"/>.
/// </summary>
public abstract class SamplingStep
{
    /// <summary>Changes the list.</summary>
    /// <param name="candidates">The tokens that may be drawn; at least one.</param>
    /// <param name="history">The tokens so far.</param>
    public abstract void Apply(Candidates candidates, TokenHistory history);

    /// <summary>Is told what was drawn in the end; does nothing unless a rule learns from it.</summary>
    /// <param name="probability">Of the token drawn among those that were left.</param>
    /// <param name="history">The tokens before it.</param>
    public virtual void Drawn(double probability, TokenHistory history)
    {
    }

    /// <summary>An option, where it is in its range.</summary>
    /// <param name="value">The option.</param>
    /// <param name="isAllowed">Whether it is.</param>
    /// <param name="option">What messages call it.</param>
    /// <param name="allowed">Its range, in words.</param>
    /// <exception cref="ArgumentException">It is not; the message says all of it.</exception>
    protected static T Checked<T>(T value, bool isAllowed, string option, string allowed) =>
        isAllowed ? value : throw new ArgumentException($"{option} is {value}; allowed: {allowed}");
}
