namespace Tessera.Generation.Sampling;

/// <summary>A processor of logits that stands behind rules of sampling: it changes the tokens that they have left, and brings none
/// back.</summary>
/// <param name="processor">The processor.</param>
internal sealed class ProcessorStep(LogitsProcessor processor) : SamplingStep
{
    private float[] _logits = [];

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        if (_logits.Length < candidates.Vocabulary) _logits = new float[candidates.Vocabulary];
        var vocabulary = _logits.AsSpan(0, candidates.Vocabulary);
        vocabulary.Fill(float.NegativeInfinity);
        for (var i = 0; i < candidates.Count; i++) vocabulary[candidates.Tokens[i]] = candidates.Logits[i];
        processor.Apply(vocabulary, history);
        if (!candidates.Update(vocabulary))
            throw new NoTokenAllowedException($"no token is left by {processor.GetType().Name} after the rules before it", history);
    }
}
