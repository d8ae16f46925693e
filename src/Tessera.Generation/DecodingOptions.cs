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

    // Beyond these, differences between logits are lost.
    private const float MaxPenalty = 1000, MinRepetitionPenalty = 0.001f;

    /// <summary>The greatest number of tokens to generate, the stop token included; where null, the longest the model was trained on, at
    /// most 1,024. 1 to 1,048,576. Where a method is told a number too, the smaller counts.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>No stop token comes before so many tokens; 0 to <see cref="MaxNewTokens"/>.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Above 1, tokens that the decoder has read or written are less likely: their logits are divided by this where above 0,
    /// multiplied where below (Keskar et al. 2019, arXiv 1909.05858). 0.001 to 1,000; 1 leaves them.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>No run of so many tokens is written a second time (Paulus et al. 2017, arXiv 1705.04304); any may be where 0.</summary>
    public int NoRepeatNgramSize { get; init; }

    /// <summary>Taken once from the logits of tokens that the decoder has read or written, as OpenAI's API defines it; −1,000 to
    /// 1,000, 0 leaves them.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Taken from the logits of tokens that the decoder has read or written as often as they came; −1,000 to
    /// 1,000.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Of how many of the last tokens <see cref="RepetitionPenalty"/>, <see cref="PresencePenalty"/> and
    /// <see cref="FrequencyPenalty"/> know; all where 0.</summary>
    public int PenaltyWindow { get; init; }

    /// <summary>Makes going on with a run of tokens that the text holds already less likely; does nothing where null.</summary>
    public DryOptions? Dry { get; init; }

    /// <summary>Numbers added to the logits of tokens, by their ids.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>In which order logits are changed and tokens taken away, by names of <see cref="OrderNames"/>; what is not set
    /// may be named. The order of that list where null.</summary>
    public IReadOnlyList<string>? Order { get; init; }

    /// <summary>What <see cref="Order"/> may name: penalties, which greedy decoding and beam search know too, then rules of sampling. The
    /// usual order is that of Hugging Face's <c>generate</c>, as far as it knows them.</summary>
    public static IReadOnlyList<string> OrderNames => DecodingChain.Names;

    /// <summary>What else changes logits, after the penalties and before rules of sampling; only in code.</summary>
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
        Require(
            RepetitionPenalty is >= MinRepetitionPenalty and <= MaxPenalty, "repetition penalty", RepetitionPenalty,
            $"{MinRepetitionPenalty} to {MaxPenalty}");
        Require(NoRepeatNgramSize >= 0, "no-repeat n-gram size", NoRepeatNgramSize, "at least 0");
        Require(float.Abs(PresencePenalty) <= MaxPenalty, "presence penalty", PresencePenalty, $"-{MaxPenalty} to {MaxPenalty}");
        Require(float.Abs(FrequencyPenalty) <= MaxPenalty, "frequency penalty", FrequencyPenalty, $"-{MaxPenalty} to {MaxPenalty}");
        Require(PenaltyWindow >= 0, "penalty window", PenaltyWindow, "at least 0");
        Dry?.Validate();
        if (this is not SamplingOptions) _ = new DecodingChain(this);
    }

    /// <summary>The chain of valid options.</summary>
    internal DecodingChain ValidChain()
    {
        Validate();
        return new DecodingChain(this);
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

/// <summary>A random token of the model's distribution, changed and cut off by rules in the order of
/// <see cref="DecodingOptions.Order"/>.</summary>
/// <param name="Temperature">Divides the logits; greater than 0, 1 leaves them.</param>
/// <param name="TopK">Only the k likeliest tokens; all where 0.</param>
/// <param name="TopP">Only the likeliest tokens that together have this probability (Holtzman et al. 2019, arXiv 1904.09751);
/// in (0, 1].</param>
/// <param name="Seed">Where the random numbers come from: the same seed gives the same text.</param>
public sealed record SamplingOptions(float Temperature = 1, int TopK = 0, float TopP = 1, ulong Seed = 0) : DecodingOptions
{
    /// <summary>Only tokens at least as likely as this share of the likeliest one's probability (Nguyen et al. 2024, arXiv 2407.01082);
    /// 0 to 1, 0 leaves all.</summary>
    public float MinP { get; init; }

    /// <summary>Only the tokens nearest to the expected surprise that together have this probability (Meister et al. 2022, arXiv
    /// 2202.00666); greater than 0, at most 1, which leaves all.</summary>
    public float TypicalP { get; init; } = 1;

    /// <summary>Only tokens with at least this probability, or the likeliest (Hewitt et al. 2022, arXiv 2210.15191); 0 to below 1, 0 leaves
    /// all.</summary>
    public float Epsilon { get; init; }

    /// <summary>XTC: how often the likeliest tokens are taken away, all but one of those that reach <see cref="XtcThreshold"/>; 0 to
    /// 1.</summary>
    public float XtcProbability { get; init; }

    /// <summary>From which probability on a token counts for <see cref="XtcProbability"/>; greater than 0, at most 0.5.</summary>
    public float XtcThreshold { get; init; } = 0.1f;

    /// <summary>Mirostat: the surprise, in bits a token, that the text is kept near (Basu et al. 2020, arXiv 2007.14966); 3 to 5 are
    /// usual, 0 is without it.</summary>
    public float Mirostat { get; init; }

    /// <summary>How fast <see cref="Mirostat"/> follows; greater than 0.</summary>
    public float MirostatRate { get; init; } = 0.1f;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Temperature > 0 && float.IsFinite(Temperature), "temperature", Temperature, "greater than 0");
        Require(TopK >= 0, "top-k", TopK, "at least 0");
        Require(TopP is > 0 and <= 1, "top-p", TopP, "greater than 0, at most 1");
        Require(MinP is >= 0 and <= 1, "min-p", MinP, "0 to 1");
        Require(TypicalP is > 0 and <= 1, "typical-p", TypicalP, "greater than 0, at most 1");
        Require(Epsilon is >= 0 and < 1, "epsilon", Epsilon, "0 to below 1");
        Require(XtcProbability is >= 0 and <= 1, "xtc probability", XtcProbability, "0 to 1");
        Require(XtcThreshold is > 0 and <= 0.5f, "xtc threshold", XtcThreshold, "greater than 0, at most 0.5");
        Require(Mirostat >= 0 && float.IsFinite(Mirostat), "mirostat", Mirostat, "at least 0");
        Require(MirostatRate > 0 && float.IsFinite(MirostatRate), "mirostat rate", MirostatRate, "greater than 0");
        _ = new DecodingChain(this);
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
