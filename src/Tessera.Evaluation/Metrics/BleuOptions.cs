namespace Tessera.Evaluation.Metrics;

/// <summary>
/// What BLEU puts in the place of an n-gram precision of zero (Chen, Cherry 2014,
/// <see href="https://aclanthology.org/W14-3346"/>).
/// </summary>
public enum BleuSmoothing
{
    /// <summary>
    /// <c>exp</c>, the default: the i-th order without a match counts as <c>1/2^i</c> matches (NIST's mteval, their method 3).
    /// </summary>
    Exponential,

    /// <summary><c>none</c>: nothing; one order without a match makes the score 0.</summary>
    None,

    /// <summary><c>floor</c>: a small count of matches, 0.1 unless said (their method 1).</summary>
    Floor,

    /// <summary><c>add-k</c>: k is added to matches and totals of orders 2 and up, 1 unless said (their method 2).</summary>
    AddK,
}

/// <summary>How <see cref="CorpusBleu"/> computes; the defaults are sacrebleu's.</summary>
public sealed record BleuOptions
{
    /// <summary>How texts are cut into tokens; <see cref="BleuTokenizer.Mteval13a"/> unless said.</summary>
    public BleuTokenizer Tokenizer { get; init; } = BleuTokenizer.Mteval13a;

    /// <summary>What is done about orders without a match.</summary>
    public BleuSmoothing Smoothing { get; init; } = BleuSmoothing.Exponential;

    /// <summary>
    /// The count of <see cref="BleuSmoothing.Floor"/> or the k of <see cref="BleuSmoothing.AddK"/>, above 0; null is their
    /// default, 0.1 and 1. The other methods take no value.
    /// </summary>
    public double? SmoothingValue { get; init; }

    /// <summary>
    /// Whether case is ignored. Letters are lowered one by one: a final Σ becomes σ, not ς, and İ stays one letter, where
    /// Python's <c>lower</c> differs.
    /// </summary>
    public bool LowerCase { get; init; }

    /// <summary>
    /// Whether the mean is taken over the orders that the hypotheses are long enough to have. Meant for single sentences:
    /// without it, a text of fewer tokens than <see cref="MaximumOrder"/> scores 0 even where it equals its reference.
    /// </summary>
    public bool EffectiveOrder { get; init; }

    /// <summary>The longest n-gram, at least 1; 4 unless said.</summary>
    public int MaximumOrder { get; init; } = 4;

    internal double EffectiveSmoothingValue => SmoothingValue ?? (Smoothing == BleuSmoothing.Floor ? 0.1 : 1);

    internal void Check()
    {
        ArgumentNullException.ThrowIfNull(Tokenizer, nameof(Tokenizer));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumOrder, 1, nameof(MaximumOrder));
        if (SmoothingValue is not { } value) return;
        if (Smoothing is not (BleuSmoothing.Floor or BleuSmoothing.AddK))
            throw new ArgumentException($"{nameof(SmoothingValue)} is {value}, but only Floor and AddK take one, not {Smoothing}.");
        if (!double.IsFinite(value) || value <= 0)
            throw new ArgumentOutOfRangeException(nameof(SmoothingValue), value, "The smoothing value must be a number above 0.");
    }
}
