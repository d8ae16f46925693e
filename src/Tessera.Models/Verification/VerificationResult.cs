namespace Tessera.Models.Verification;

/// <summary>How far a model is from outputs that were recorded for it: largest absolute differences, null for what was not
/// recorded.</summary>
/// <param name="Folder">The model's folder.</param>
/// <param name="Family">The family it belongs to.</param>
public sealed record VerificationResult(string Folder, string Family)
{
    /// <summary>Of the logits of a batch.</summary>
    public double? Logits { get; init; }

    /// <summary>No difference: the largest of the recorded logits of a batch, which <see cref="Logits"/> is a share of.</summary>
    public double? LargestLogit { get; init; }

    /// <summary>Of the logits of a long sequence.</summary>
    public double? LongLogits { get; init; }

    /// <summary>Of the logits of padded rows, where they are not padding.</summary>
    public double? PaddedLogits { get; init; }

    /// <summary>Of the stream before each layer and what comes out of the last.</summary>
    public double? Hidden { get; init; }

    /// <summary>Of the mean loss of a batch, with that of later tokens where it was recorded.</summary>
    public double? Loss { get; init; }

    /// <summary>Of the gradients of that loss, each relative to the largest number of its tensor.</summary>
    public double? Gradients { get; init; }

    /// <summary>The tensor whose gradient differs most, by its name in the file.</summary>
    public string? WorstGradient { get; init; }

    /// <summary>Of the logits of tokens after the next one.</summary>
    public double? MtpLogits { get; init; }

    /// <summary>Of the losses of tokens after the next one.</summary>
    public double? LaterLosses { get; init; }

    /// <summary>Of logits decoded token by token from those of the whole sequence; for latent attention of the absorbed from the
    /// expanded form. Nothing recorded is needed for it but tokens.</summary>
    public double? Cached { get; init; }

    /// <summary>How many greedy tokens were recorded.</summary>
    public int? GreedyTokens { get; init; }

    /// <summary>How many of them the model chooses, or finds as good as its choice, where the recorded margin is too small to
    /// tell.</summary>
    public int? GreedyEqual { get; init; }

    /// <summary>Whether something was compared with what was recorded, more than the model with itself.</summary>
    public bool Compares =>
        ((double?[])[Logits, LongLogits, PaddedLogits, Hidden, Loss, Gradients, MtpLogits, LaterLosses]).Any(found => found is not null)
        || GreedyTokens > 0;

    /// <summary>Whether something was compared and nothing differs by more than is allowed.</summary>
    /// <param name="tolerance">Of logits, hidden states and losses.</param>
    /// <param name="gradientTolerance">Of gradients.</param>
    public bool Passes(double tolerance, double gradientTolerance)
    {
        double?[] differences = [Logits, LongLogits, PaddedLogits, Hidden, Loss, MtpLogits, LaterLosses, Cached];
        return Compares && differences.All(difference => difference is null || difference <= tolerance)
            && (Gradients is null || Gradients <= gradientTolerance) && GreedyEqual == GreedyTokens;
    }
}
