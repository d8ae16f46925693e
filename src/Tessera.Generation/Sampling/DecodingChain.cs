namespace Tessera.Generation.Sampling;

/// <summary>
/// What options make of logits, in their order: processors of whole vocabularies, which all ways of decoding have, then rules of
/// sampling. A processor that is ordered behind a rule works on what the rule has left.
/// </summary>
internal sealed class DecodingChain
{
    private static readonly (string Name, Func<DecodingOptions, LogitsProcessor?> Make)[] s_processors =
    [
        ("bias", options => options.LogitBias is { Count: > 0 } biases ? new LogitBias(biases) : null),
        ("repetition", options =>
            options.RepetitionPenalty == 1 ? null : new RepetitionPenalty(options.RepetitionPenalty, options.PenaltyWindow)),
        ("presence", options => options is { PresencePenalty: 0, FrequencyPenalty: 0 }
            ? null
            : new PresencePenalty(options.PresencePenalty, options.FrequencyPenalty, options.PenaltyWindow)),
        ("dry", options => options.Dry is { } dry ? new DryPenalty(dry) : null),
        ("no-repeat", options => options.NoRepeatNgramSize == 0 ? null : new NoRepeatNgram(options.NoRepeatNgramSize)),
    ];

    private static readonly (string Name, Func<SamplingOptions, SamplingStep?> Make)[] s_rules =
    [
        ("temperature", options => options.Temperature == 1 ? null : new Temperature(options.Temperature)),
        ("top-k", options => options.TopK == 0 ? null : new TopK(options.TopK)),
        ("top-p", options => options.TopP == 1 ? null : new TopP(options.TopP)),
        ("min-p", options => options.MinP == 0 ? null : new MinP(options.MinP)),
        ("typical", options => options.TypicalP == 1 ? null : new Typical(options.TypicalP)),
        ("epsilon", options => options.Epsilon == 0 ? null : new Epsilon(options.Epsilon)),
        ("xtc", options => options.XtcProbability == 0
            ? null
            : new ExcludeTopChoices(options.XtcProbability, options.XtcThreshold, options.Seed)),
        ("mirostat", options => options.Mirostat == 0 ? null : new Mirostat(options.Mirostat, options.MirostatRate)),
    ];

    private readonly List<LogitsProcessor> _processors = [];
    private readonly List<SamplingStep> _steps = [];

    /// <summary>The chain of some options.</summary>
    /// <exception cref="ArgumentException">The order names something unknown, or twice, or leaves out what is set.</exception>
    public DecodingChain(DecodingOptions options)
    {
        var names = options.Order ?? Names;
        foreach (var (place, name) in names.Index())
        {
            if (!Names.Contains(name)) throw new ArgumentException($"order names '{name}'; allowed: {string.Join(", ", Names)}");
            if (names.Take(place).Contains(name)) throw new ArgumentException($"order names {name} twice");
        }

        foreach (var name in names) Add(name, options);
        foreach (var name in Names.Except(names))
            if (Processor(name, options) is not null || Rule(name, options) is not null)
                throw new ArgumentException($"order leaves out {name}, which is set; name it where it belongs, or take it away");
        // Surprise is that of the distribution which mirostat sees, so that nothing may change it afterwards.
        if (_steps.FindIndex(step => step is Mirostat) is >= 0 and var last && last < _steps.Count - 1)
            throw new ArgumentException("order has something after mirostat; allowed: mirostat as the last that is set");
    }

    /// <inheritdoc cref="DecodingOptions.OrderNames"/>
    public static IReadOnlyList<string> Names { get; } = [.. s_processors.Select(one => one.Name), .. s_rules.Select(one => one.Name)];

    /// <summary>What stands before all rules.</summary>
    public IReadOnlyList<LogitsProcessor> Processors => _processors;

    /// <summary>Rules of sampling, and processors behind them.</summary>
    public IReadOnlyList<SamplingStep> Steps => _steps;

    private void Add(string name, DecodingOptions options)
    {
        if (Rule(name, options) is { } rule) _steps.Add(rule);
        if (Processor(name, options) is not { } processor) return;
        if (_steps.Count == 0) _processors.Add(processor);
        else _steps.Add(new ProcessorStep(processor));
    }

    private static LogitsProcessor? Processor(string name, DecodingOptions options) =>
        Array.Find(s_processors, one => one.Name == name).Make?.Invoke(options);

    private static SamplingStep? Rule(string name, DecodingOptions options) =>
        options is SamplingOptions sampling ? Array.Find(s_rules, one => one.Name == name).Make?.Invoke(sampling) : null;
}
