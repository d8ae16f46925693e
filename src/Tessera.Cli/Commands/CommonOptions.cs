using System.CommandLine;
using Tessera.Generation;

namespace Tessera.Cli.Commands;

/// <summary>Options that several commands share.</summary>
internal static class CommonOptions
{
    public static Option<bool> Json() => new("--json") { Description = "Print JSON lines instead of text." };

    public static Option<string?> Checkpoint() => new("--checkpoint")
    {
        Description = "Of a run: a checkpoint instead of the finished model, by its step, or best (lowest validation loss), or last.",
    };

    /// <summary>Of every command: assemblies with parts of their own.</summary>
    public static Option<string[]> Parts { get; } = new("--parts")
    {
        Description = "An assembly whose own parts recipes and models may name: --parts bin/OwnMixer.dll. Its code runs. May be repeated.",
        AllowMultipleArgumentsPerToken = false,
        Recursive = true,
        DefaultValueFactory = _ => [],
    };

    public static Option<string[]> Set() => new("--set")
        {
            Description =
                "Change a value of the recipe, or swap a part by its kind: --set model.decoder.attention.kind=latent. May be repeated.",
            AllowMultipleArgumentsPerToken = false,
            DefaultValueFactory = _ => [],
        };

    /// <summary>Tells people something that is no error, where output for other programs is not disturbed.</summary>
    public static void Note(string text) => Console.Error.WriteLine($"tessera: note: {text}");

    /// <summary>A command's help with examples under it.</summary>
    public static string WithExamples(string description, params ReadOnlySpan<string> examples) =>
        $"{description}\n\nExamples:\n  {string.Join("\n  ", examples)}";
}

/// <summary>The options that say how tokens are chosen.</summary>
internal sealed class DecodingArguments
{
    private readonly Option<int?> _beam = new("--beam") { Description = "Beam search of this width (5 is usual)." };
    private readonly Option<float?> _temperature = new("--temperature") { Description = "Sample, with the logits divided by this." };
    private readonly Option<int?> _topK = new("--top-k") { Description = "Sample from the k likeliest tokens." };
    private readonly Option<float?> _topP = new("--top-p")
    {
        Description = "Sample from the likeliest tokens that together have this probability.",
    };
    private readonly Option<ulong> _seed = new("--seed") { Description = "Where sampling's random numbers come from." };
    private readonly Option<float> _lengthPenalty = new("--length-penalty")
    {
        Description = "Beam search: scores are divided by length to this power.",
        DefaultValueFactory = _ => 1,
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

    /// <summary>What was asked for; greedy where nothing was.</summary>
    /// <exception cref="ArgumentException">Options contradict each other or are out of range.</exception>
    public DecodingOptions Read(ParseResult parsed)
    {
        var (beam, temperature, topK, topP) = (
            parsed.GetValue(_beam), parsed.GetValue(_temperature), parsed.GetValue(_topK), parsed.GetValue(_topP));
        var samples = temperature is not null || topK is not null || topP is not null;
        if (beam is not null && samples)
            throw new ArgumentException("--beam and sampling (--temperature, --top-k, --top-p) exclude each other");
        DecodingOptions options = beam is { } width ? new BeamOptions(width, parsed.GetValue(_lengthPenalty))
            : samples ? new SamplingOptions(temperature ?? 1, topK ?? 0, topP ?? 1, parsed.GetValue(_seed))
            : new GreedyOptions();
        options = options with
        {
            MaxNewTokens = parsed.GetValue(_most), MinNewTokens = parsed.GetValue(_min),
            RepetitionPenalty = parsed.GetValue(_repetitionPenalty), NoRepeatNgramSize = parsed.GetValue(_noRepeat),
        };
        options.Validate();
        return options;
    }
}
