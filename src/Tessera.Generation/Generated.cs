namespace Tessera.Generation;

/// <summary>Why a sequence goes no further.</summary>
public enum FinishReason
{
    /// <summary>The model gave one of the stop tokens.</summary>
    StopToken,

    /// <summary>The limit on new tokens is reached.</summary>
    Length,
}

/// <summary>A generated sequence.</summary>
/// <param name="Ids">Its tokens, without the stop token.</param>
/// <param name="Score">The sum of the log-probabilities of its tokens in nats, the stop token included; for beam search divided by
/// length to the power of the length penalty. NaN where nobody asked for it.</param>
/// <param name="FinishReason">Why it goes no further.</param>
public readonly record struct Generated(IReadOnlyList<int> Ids, double Score, FinishReason FinishReason);
