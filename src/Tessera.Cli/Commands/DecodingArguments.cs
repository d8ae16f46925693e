using System.CommandLine;
using Tessera.Generation;

namespace Tessera.Cli.Commands;

/// <summary>The options that say how tokens are chosen.</summary>
internal sealed class DecodingArguments
{
    private readonly Option<int?> _beam = new("--beam") { Description = "Beam search of this width (5 is usual)." };
    private readonly Option<float?> _temperature = new("--temperature")
    {
        Description = "Sample, with the logits divided by this; 0 is always the likeliest token.",
    };
    private readonly Option<int?> _topK = new("--top-k") { Description = "Sample from the k likeliest tokens." };
    private readonly Option<float?> _topP = new("--top-p")
    {
        Description = "Sample from the likeliest tokens that together have this probability.",
    };
    private readonly Option<ulong?> _seed = new("--seed")
    {
        Description = "Where sampling's random numbers come from; another one each time, which a note tells, unless said.",
    };
    private readonly Option<float?> _lengthPenalty = new("--length-penalty")
    {
        Description = "Beam search: scores are divided by length to this power; 1 unless said.",
    };
    private readonly Option<float> _repetitionPenalty = new("--repetition-penalty")
    {
        Description = "Above 1, tokens that were read or written are less likely.",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<int> _noRepeat = new("--no-repeat") { Description = "No run of so many tokens is written a second time." };
    private readonly Option<int?> _most = new("--max-tokens") { Description = "The greatest number of tokens to generate." };
    private readonly Option<int> _min = new("--min-tokens") { Description = "The text does not end before so many tokens." };

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All =>
        [_beam, _lengthPenalty, _temperature, _topK, _topP, _seed, _repetitionPenalty, _noRepeat, _most, _min];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in All) command.Options.Add(option);
    }

    /// <summary>What was asked for; greedy where nothing was. A seed that nobody gave is drawn, and told in a note.</summary>
    /// <exception cref="ArgumentException">Options contradict each other, do nothing, or are out of range.</exception>
    public DecodingOptions Read(ParseResult parsed)
    {
        var options = Method(parsed) with
        {
            MaxNewTokens = parsed.GetValue(_most), MinNewTokens = parsed.GetValue(_min),
            RepetitionPenalty = parsed.GetValue(_repetitionPenalty), NoRepeatNgramSize = parsed.GetValue(_noRepeat),
        };
        options.Validate();
        if (options is SamplingOptions { Seed: var drawn } && parsed.GetValue(_seed) is null)
            CommonOptions.Note($"sampled with --seed {drawn}");
        return options;
    }

    private DecodingOptions Method(ParseResult parsed)
    {
        var (temperature, topK, topP) = (parsed.GetValue(_temperature), parsed.GetValue(_topK), parsed.GetValue(_topP));
        var samples = temperature is not (null or 0) || (temperature is null && (topK is not null || topP is not null));
        if (parsed.GetValue(_beam) is { } width)
        {
            if (temperature is not null || topK is not null || topP is not null)
                throw new ArgumentException("--beam and sampling (--temperature, --top-k, --top-p) exclude each other");
            Refuse(parsed, "with --beam", _seed);
            return new BeamOptions(width, parsed.GetValue(_lengthPenalty) ?? 1);
        }

        Refuse(parsed, "without --beam", _lengthPenalty);
        if (samples)
            return new SamplingOptions(
                temperature ?? 1, topK ?? 0, topP ?? 1, parsed.GetValue(_seed) ?? (ulong)Random.Shared.Next());
        if (temperature == 0) Refuse(parsed, "at --temperature 0", _seed, _topK, _topP);
        else Refuse(parsed, "without sampling (--temperature, --top-k, --top-p)", _seed);
        return new GreedyOptions();
    }

    /// <summary>An option that would change nothing was meant to change something.</summary>
    private static void Refuse(ParseResult parsed, string where, params ReadOnlySpan<Option> options)
    {
        foreach (var option in options)
            if (parsed.GetResult(option) is { Implicit: false }) throw new ArgumentException($"{option.Name} does nothing {where}");
    }
}
