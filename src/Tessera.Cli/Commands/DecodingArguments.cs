using System.CommandLine;
using System.Globalization;
using Tessera.Generation;
using Tessera.Generation.Sampling;
using Tessera.Models;

namespace Tessera.Cli.Commands;

/// <summary>The options that say how tokens are chosen.</summary>
internal sealed class DecodingArguments
{
    private static readonly string[] s_usualBreakers = ["\n", ":", "\"", "*"];

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
    private readonly Option<float> _presence = new("--presence-penalty")
    {
        Description = "Taken from the logits of tokens that were read or written.",
    };
    private readonly Option<float> _frequency = new("--frequency-penalty")
    {
        Description = "Taken from the logits of tokens that were read or written, as often as they came.",
    };
    private readonly Option<int> _penaltyWindow = new("--penalty-window")
    {
        Description = "How many of the last tokens the penalties count; all unless said.",
    };
    private readonly Option<float?> _dry = new("--dry")
    {
        Description = "DRY: going on with a run of tokens that the text holds already is less likely, by this multiplier (0.8 is usual).",
    };
    private readonly Option<string[]> _dryBreakers = new("--dry-breakers")
    {
        Description = "DRY: no run goes across a token that holds one of these texts; a line break, a colon, a quotation mark and a star "
            + "unless said. Any number of times.",
    };
    private readonly Option<string[]> _bias = new("--logit-bias")
    {
        Description = "ID=NUMBER: added to the logit of a token; any number of times.",
    };
    private readonly Option<float> _minP = new("--min-p")
    {
        Description = "Sample from the tokens at least as likely as this share of the likeliest one's probability.",
    };
    private readonly Option<float?> _typical = new("--typical-p")
    {
        Description = "Sample from the tokens nearest to the expected surprise that together have this probability.",
    };
    private readonly Option<float> _epsilon = new("--epsilon") { Description = "Sample from the tokens with at least this probability." };
    private readonly Option<float> _xtc = new("--xtc")
    {
        Description = "XTC: how often the likeliest tokens are taken away, but for the last that reaches --xtc-threshold.",
    };
    private readonly Option<float?> _xtcThreshold = new("--xtc-threshold")
    {
        Description = "XTC: from which probability on; 0.1 unless said.",
    };
    private readonly Option<float> _mirostat = new("--mirostat")
    {
        Description = "Sample so that the text's surprise stays near so many bits a token (3 to 5 are usual).",
    };
    private readonly Option<float?> _mirostatRate = new("--mirostat-rate") { Description = "How fast mirostat follows; 0.1 unless said." };
    private readonly Option<string?> _order = new("--order")
    {
        Description = "In which order logits are changed: names between commas; "
            + $"{string.Join(",", DecodingOptions.OrderNames)} unless said.",
    };
    private readonly Option<int> _noRepeat = new("--no-repeat") { Description = "No run of so many tokens is written a second time." };
    private readonly Option<int?> _most = new("--max-tokens") { Description = "The greatest number of tokens to generate." };
    private readonly Option<int> _min = new("--min-tokens") { Description = "The text does not end before so many tokens." };

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All =>
    [
        _beam, _lengthPenalty, .. Rules, _xtcThreshold, _mirostatRate, _seed, _repetitionPenalty, _presence, _frequency, _penaltyWindow,
        _noRepeat, _dry, _dryBreakers, _bias, _order, _most, _min,
    ];

    /// <summary>Those that mean sampling.</summary>
    private Option[] Rules => [_temperature, _topK, _topP, _minP, _typical, _epsilon, _xtc, _mirostat];

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
            PresencePenalty = parsed.GetValue(_presence), FrequencyPenalty = parsed.GetValue(_frequency),
            PenaltyWindow = parsed.GetValue(_penaltyWindow), LogitBias = Biases(parsed.GetValue(_bias) ?? []),
            Dry = parsed.GetValue(_dry) is { } multiplier ? new DryOptions(multiplier) : null,
            Order = parsed.GetValue(_order)?.Split(',', StringSplitOptions.TrimEntries),
        };
        if (options.Dry is null) Refuse(parsed, "without --dry", _dryBreakers);
        options.Validate();
        if (options is SamplingOptions { Seed: var drawn } && parsed.GetValue(_seed) is null)
            CommonOptions.Note($"sampled with --seed {drawn}");
        return options;
    }

    /// <summary>The options for a model, in whose tokens DRY's breakers are.</summary>
    public DecodingOptions For(ParseResult parsed, DecodingOptions options, ModelFolder model)
    {
        if (options.Dry is not { } dry) return options;
        var breakers = parsed.GetValue(_dryBreakers) is { Length: > 0 } given ? given : s_usualBreakers;
        return options with { Dry = dry with { Breakers = model.TokensContaining(breakers) } };
    }

    private DecodingOptions Method(ParseResult parsed)
    {
        var given = Array.FindAll(Rules, rule => parsed.GetResult(rule) is { Implicit: false });
        var temperature = parsed.GetValue(_temperature);
        if (parsed.GetValue(_beam) is { } width)
        {
            if (given.Length > 0) throw new ArgumentException($"--beam and sampling ({Names(Rules)}) exclude each other");
            Refuse(parsed, "with --beam", _seed, _xtcThreshold, _mirostatRate);
            return new BeamOptions(width, parsed.GetValue(_lengthPenalty) ?? 1);
        }

        Refuse(parsed, "without --beam", _lengthPenalty);
        if (parsed.GetValue(_xtc) == 0) Refuse(parsed, "without --xtc", _xtcThreshold);
        if (parsed.GetValue(_mirostat) == 0) Refuse(parsed, "without --mirostat", _mirostatRate);
        if (temperature == 0) Refuse(parsed, "at --temperature 0", [_seed, .. Rules.Except([_temperature])]);
        if (given.Length > 0 && temperature != 0)
        {
            return new SamplingOptions(
                temperature ?? 1, parsed.GetValue(_topK) ?? 0, parsed.GetValue(_topP) ?? 1,
                parsed.GetValue(_seed) ?? (ulong)Random.Shared.Next())
            {
                MinP = parsed.GetValue(_minP), TypicalP = parsed.GetValue(_typical) ?? 1, Epsilon = parsed.GetValue(_epsilon),
                XtcProbability = parsed.GetValue(_xtc), XtcThreshold = parsed.GetValue(_xtcThreshold) ?? 0.1f,
                Mirostat = parsed.GetValue(_mirostat), MirostatRate = parsed.GetValue(_mirostatRate) ?? 0.1f,
            };
        }

        if (temperature is null) Refuse(parsed, $"without sampling ({Names(Rules)})", _seed);
        return new GreedyOptions();
    }

    private static Dictionary<int, float>? Biases(string[] given)
    {
        if (given.Length == 0) return null;
        var biases = new Dictionary<int, float>();
        foreach (var one in given)
        {
            if (one.Split('=') is not [var id, var bias]
                || !int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var token)
                || !float.TryParse(bias, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
                throw new ArgumentException($"--logit-bias is '{one}'; allowed: ID=NUMBER, such as 42=-100");
            if (!biases.TryAdd(token, number)) throw new ArgumentException($"--logit-bias names token {token} twice");
        }

        return biases;
    }

    private static string Names(IEnumerable<Option> options) => string.Join(", ", options.Select(option => option.Name));

    /// <summary>An option that would change nothing was meant to change something.</summary>
    private static void Refuse(ParseResult parsed, string where, params ReadOnlySpan<Option> options)
    {
        foreach (var option in options)
            if (parsed.GetResult(option) is { Implicit: false }) throw new ArgumentException($"{option.Name} does nothing {where}");
    }
}
