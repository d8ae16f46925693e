using System.Text.Json.Serialization;
using Tessera.Generation.Sampling;

namespace Tessera.Generation;

/// <summary>How the next token is chosen.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(GreedyOptions), "greedy")]
[JsonDerivedType(typeof(SamplingOptions), "sampling")]
[JsonDerivedType(typeof(BeamOptions), "beam")]
public abstract record DecodingOptions
{
    private const int MaxTokens = 1 << 20;

    /// <summary>The greatest number of tokens to generate, the stop token included; where null, the longest the model was trained on, at
    /// most 1,024. 1 to 1,048,576. Where a method is told a number too, the smaller counts.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>No stop token comes before so many tokens; 0 to <see cref="MaxNewTokens"/>.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Above 1, tokens that the decoder has read or written are less likely: their logits are divided by this where above 0,
    /// multiplied where below (Keskar et al. 2019, arXiv 1909.05858). Greater than 0; 1 leaves them.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>No run of so many tokens is written a second time (Paulus et al. 2017, arXiv 1705.04304); any may be where 0.</summary>
    public int NoRepeatNgramSize { get; init; }

    /// <summary>What else changes logits, after <see cref="RepetitionPenalty"/> and <see cref="NoRepeatNgramSize"/>; only in
    /// code.</summary>
    [JsonIgnore]
    public IReadOnlyList<LogitsProcessor> Processors { get; init; } = [];

    /// <summary>Says which tokens may come; each sequence gets a fork of it. Only in code.</summary>
    [JsonIgnore]
    public TokenConstraint? Constraint { get; init; }

    /// <summary>Throws where an option is out of its range.</summary>
    /// <exception cref="ArgumentException">The message names the option, its value and what is allowed.</exception>
    public virtual void Validate()
    {
        Require(MaxNewTokens is null or (>= 1 and <= MaxTokens), "max new tokens", MaxNewTokens, $"1 to {MaxTokens}");
        var max = MaxNewTokens ?? MaxTokens;
        Require(MinNewTokens >= 0 && MinNewTokens <= max, "min new tokens", MinNewTokens, $"0 to {max}");
        Require(RepetitionPenalty > 0 && float.IsFinite(RepetitionPenalty), "repetition penalty", RepetitionPenalty, "greater than 0");
        Require(NoRepeatNgramSize >= 0, "no-repeat n-gram size", NoRepeatNgramSize, "at least 0");
    }

    /// <summary>The greatest number of tokens where a caller names one too: the smaller of both.</summary>
    /// <param name="maxNewTokens">The caller's; at least 1.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or <see cref="MinNewTokens"/> is above that number.</exception>
    internal int Limit(int maxNewTokens)
    {
        Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        var limit = Math.Min(maxNewTokens, MaxNewTokens ?? maxNewTokens);
        Require(MinNewTokens <= limit, "min new tokens", MinNewTokens, $"0 to {limit}, the greatest number of tokens here");
        return limit;
    }

    /// <summary>What a sequence of its own may be made of; null where everything may come.</summary>
    internal TokenConstraint? ConstraintOf(IReadOnlyList<int> stopTokens)
    {
        if (MinNewTokens == 0) return Constraint?.Fork();
        var length = new MinimumLength(MinNewTokens, stopTokens);
        return Constraint is null ? length : new CombinedConstraint(length, Constraint.Fork());
    }

    private protected static void Require(bool condition, string option, object? found, string allowed)
    {
        if (!condition) throw new ArgumentException($"{option} is {found}; allowed: {allowed}");
    }
}

/// <summary>Always the likeliest token.</summary>
public sealed record GreedyOptions : DecodingOptions;

/// <summary>A random token of the model's distribution, sharpened and cut off.</summary>
/// <param name="Temperature">Divides the logits; greater than 0, 1 leaves them.</param>
/// <param name="TopK">Only the k likeliest tokens; all where 0.</param>
/// <param name="TopP">Only the likeliest tokens that together have this probability (Holtzman et al. 2019, arXiv 1904.09751);
/// in (0, 1].</param>
/// <param name="Seed">Where the random numbers come from: the same seed gives the same text.</param>
public sealed record SamplingOptions(float Temperature = 1, int TopK = 0, float TopP = 1, ulong Seed = 0) : DecodingOptions
{
    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Temperature > 0 && float.IsFinite(Temperature), "temperature", Temperature, "greater than 0");
        Require(TopK >= 0, "top-k", TopK, "at least 0");
        Require(TopP is > 0 and <= 1, "top-p", TopP, "greater than 0, at most 1");
    }
}

/// <summary>The best of several texts that are followed at once.</summary>
/// <param name="Width">How many; 1 to 64.</param>
/// <param name="LengthPenalty">A text's score is its log-probability divided by its length to this power.</param>
/// <param name="EarlyStopping">Whether to stop as soon as <paramref name="Width"/> texts have ended, rather than when no
/// running one can become better than they are.</param>
public sealed record BeamOptions(int Width = 5, float LengthPenalty = 1, bool EarlyStopping = false) : DecodingOptions
{
    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Width is >= 1 and <= 64, "beam width", Width, "1 to 64");
        Require(float.IsFinite(LengthPenalty), "length penalty", LengthPenalty, "a finite number");
    }
}
