using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>A token as a <see cref="Sampler"/> chose it.</summary>
/// <param name="Token">Its id.</param>
/// <param name="LogProbability">Its log-probability in nats under the model itself, whatever processors and constraints made of its
/// logits; null where nobody asked.</param>
public readonly record struct SampledToken(int Token, double? LogProbability);

/// <summary>
/// Chooses tokens from logits: <see cref="Processors"/> change the logits, a constraint takes tokens away, and a rule of its own picks
/// one of those that are left. It knows a sequence only by its <see cref="TokenHistory"/>, so one sampler serves any number of
/// sequences, one after the other: it is not for several threads at once. Allocates nothing once it has chosen a token.
/// </summary>
public abstract class Sampler
{
    /// <summary>What changes logits before a token is picked.</summary>
    public LogitsProcessorChain Processors { get; init; } = new();

    /// <summary>The sampler that options describe, with their processors.</summary>
    /// <exception cref="ArgumentException">They describe beam search, which chooses whole sequences, or one is out of range.</exception>
    public static Sampler Of(DecodingOptions options)
    {
        options.Validate();
        var processors = LogitsProcessorChain.Of(options);
        return options switch
        {
            GreedyOptions => new GreedySampler { Processors = processors },
            SamplingOptions sampling => new MultinomialSampler(sampling) { Processors = processors },
            _ => throw new ArgumentException(
                $"{options.GetType().Name} has no sampler: only GreedyOptions and SamplingOptions choose token by token"),
        };
    }

    /// <summary>Chooses the next token of a sequence.</summary>
    /// <param name="logits">[vocabulary], as the model gives them; not changed.</param>
    /// <param name="history">The tokens so far.</param>
    /// <param name="constraint">Says which tokens may come, all where null. It is not told which one was chosen: whoever goes on with
    /// the token lets it <see cref="TokenConstraint.Accept"/> it.</param>
    /// <param name="wantsLogProbability">Whether the log-probability is computed, which reads all logits once more.</param>
    /// <exception cref="NoTokenAllowedException">No token is left; sequence and constraint are as they were.</exception>
    /// <exception cref="InvalidOperationException">A logit is NaN.</exception>
    public SampledToken Choose(
        ReadOnlySpan<float> logits, TokenHistory history, TokenConstraint? constraint = null, bool wantsLogProbability = false)
    {
        var changed = Processors.Apply(logits, history, constraint);
        var token = Pick(changed, history);
        if (float.IsNaN(changed[token]))
        {
            throw new InvalidOperationException(
                $"the logit of token {token} is NaN at position {history.Position} of sequence {history.Sequence}");
        }

        return new SampledToken(token, wantsLogProbability ? logits[token] - LogSumExp(logits) : null);
    }

    /// <summary>Picks one of the tokens whose logit is not −∞; there is at least one. Where one is NaN, that one: whoever asked is
    /// told.</summary>
    /// <param name="logits">[vocabulary].</param>
    /// <param name="history">The tokens so far.</param>
    protected abstract int Pick(ReadOnlySpan<float> logits, TokenHistory history);

    /// <summary>log Σ eˣ, without overflow.</summary>
    internal static double LogSumExp(ReadOnlySpan<float> logits)
    {
        var greatest = TensorPrimitives.Max(logits);
        var sum = 0.0;
        foreach (var logit in logits) sum += MathF.Exp(logit - greatest);
        return greatest + Math.Log(sum);
    }
}
