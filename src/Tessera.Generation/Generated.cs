namespace Tessera.Generation;

/// <summary>A generated sequence.</summary>
/// <param name="Ids">Its tokens, without the end.</param>
/// <param name="Score">The sum of the log-probabilities of its tokens in nats, the end included; for beam search divided by
/// length to the power of the length penalty.</param>
/// <param name="Ended">Whether the model ended it, rather than the limit on tokens.</param>
public readonly record struct Generated(IReadOnlyList<int> Ids, double Score, bool Ended);
