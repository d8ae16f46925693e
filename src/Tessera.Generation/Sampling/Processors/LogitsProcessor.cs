namespace Tessera.Generation.Sampling;

/// <summary>
/// Changes the logits of the next token by what a sequence is made of. It keeps nothing of a sequence, so it may serve several at
/// once, on several threads.
/// </summary>
public abstract class LogitsProcessor
{
    /// <summary>Changes logits in place; a token is taken out by −∞.</summary>
    /// <param name="logits">[vocabulary], what processors before this one made of them; log-probabilities in beam search.</param>
    /// <param name="history">The tokens so far, each below the size of the vocabulary.</param>
    public abstract void Apply(Span<float> logits, TokenHistory history);
}
