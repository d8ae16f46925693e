using Tessera.Nn;

namespace Tessera.Training;

/// <summary>Options of the tokenizer; <c>"tokenizer"</c> in a recipe.</summary>
public sealed record TokenizerOptions
{
    /// <summary>The bytes and the special tokens that every tokenizer trained here has, and one merge.</summary>
    internal const int Least = 260;

    /// <summary>How many tokens a trained tokenizer has: 260 to 1,000,000.</summary>
    public int Vocabulary { get; init; } = 8192;

    /// <summary>A <c>tokenizer.json</c> to use instead of training one, from the recipe's folder.</summary>
    public string? File { get; init; }

    /// <summary>A file with the chat template by which conversations are written, from the recipe's folder; Jinja, as Hugging Face has it.
    /// Where null, the start's own, or else ChatML with the tokenizer's tokens for the beginning and end of a text.</summary>
    public string? ChatTemplate { get; init; }

    internal void Validate()
    {
        if (Vocabulary is < Least or > 1_000_000)
        {
            throw new RecipeException(
                "tokenizer.vocabulary", $"is {Vocabulary}; allowed: {Least} (the bytes and the special tokens) to 1000000");
        }
    }
}

/// <summary>Options of evaluation during training; <c>"validation"</c> in a recipe.</summary>
public sealed record ValidationOptions
{
    /// <summary>How many steps lie between two evaluations; at least 1.</summary>
    public long EverySteps { get; init; } = 200;

    /// <summary>How many validation examples are used at most; at least 1.</summary>
    public int Examples { get; init; } = 500;

    /// <summary>Training stops after so many evaluations without a better loss; never where null.</summary>
    public int? Patience { get; init; }

    /// <summary>Which weights the finished model has: <c>best</c>, those with the lowest validation loss (of the phases that learn from the
    /// same data as the last one), or <c>last</c>. The best ones are kept in a checkpoint of their own.</summary>
    public FinishedWeights FinishWith { get; init; } = FinishedWeights.Best;

    internal void Validate()
    {
        if (EverySteps < 1) throw new RecipeException("validation.everySteps", $"is {EverySteps}; allowed: at least 1");
        if (Examples < 1) throw new RecipeException("validation.examples", $"is {Examples}; allowed: at least 1");
        if (Patience < 1) throw new RecipeException("validation.patience", $"is {Patience}; allowed: at least 1, or null");
    }
}

/// <summary>Which weights of a run its finished model has.</summary>
public enum FinishedWeights
{
    /// <summary>Those with the lowest validation loss; the last ones where nothing was validated.</summary>
    Best,

    /// <summary>Those of the last step.</summary>
    Last,
}

/// <summary>Options of saving the state of training; <c>"checkpoints"</c> in a recipe.</summary>
public sealed record CheckpointOptions
{
    /// <summary>How many steps lie between two checkpoints; at least 1.</summary>
    public long EverySteps { get; init; } = 500;

    /// <summary>How many of the newest checkpoints are kept; at least 1. The one with the lowest validation loss is kept besides.</summary>
    public int Keep { get; init; } = 2;

    internal void Validate()
    {
        if (EverySteps < 1) throw new RecipeException("checkpoints.everySteps", $"is {EverySteps}; allowed: at least 1");
        if (Keep < 1) throw new RecipeException("checkpoints.keep", $"is {Keep}; allowed: at least 1");
    }
}
