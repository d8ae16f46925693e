using Tessera.Nn;
using Tessera.Text.Corpora;
using Tessera.Training.Objectives;
using Tessera.Training.Optimizers;
using Tessera.Training.Precision;
using Tessera.Training.Schedules;

namespace Tessera.Training.Phases;

/// <summary>A stretch of training with its own data, objective, lengths, learning rate and losses.</summary>
public sealed record Phase
{
    /// <summary>What the phase is called.</summary>
    public string Name { get; init; } = "train";

    /// <summary>How many optimizer steps; without limit where null.</summary>
    public long? Steps { get; init; }

    /// <summary>How many minutes of training, validation and saving not counted; without limit where null. A phase needs
    /// steps or minutes, and ends with the first that is reached. Only a phase in steps is the same on every machine.</summary>
    public double? Minutes { get; init; }

    /// <summary>The corpus of the phase; the recipe's where null. Phases of the same data, objective and lengths go on in it where the one
    /// before stopped.</summary>
    public CorpusOptions? Data { get; init; }

    /// <summary>What is learned from the data; where null, what the kind of model learns: a decoder the next token, an encoder-decoder
    /// pairs.</summary>
    public ObjectiveOptions? Objective { get; init; }

    /// <summary>The longest target in tokens: a number, or a curriculum (<see cref="LengthSchedule"/>); <c>batches.length</c> where
    /// null.</summary>
    public LengthSchedule? Length { get; init; }

    /// <summary>The longest source in tokens: a number, or a curriculum; <c>batches.sourceLength</c> where null.</summary>
    public LengthSchedule? SourceLength { get; init; }

    /// <summary>The peak learning rate; greater than 0.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>How the learning rate moves; warm-up over 100 steps and a cosine to 0 unless said.</summary>
    public ScheduleOptions Schedule { get; init; } = new CosineSchedule { WarmupSteps = 100 };

    /// <summary>How much parts' own losses count, by name: <c>balance</c> and <c>sequence-balance</c> of experts, <c>mtp</c> of later
    /// tokens. Those not named do not count and are not computed.</summary>
    public IReadOnlyDictionary<string, double> Losses { get; init; } = new Dictionary<string, double>();

    /// <summary>Label smoothing; in [0, 1).</summary>
    public float LabelSmoothing { get; init; }

    /// <summary>In which numbers products are computed: <c>f32</c>, <c>bf16</c>, <c>f16</c>, or <c>auto</c>, BF16 where this machine
    /// gains from it. Weights, gradients and the optimizer are F32 in all.</summary>
    public PhasePrecision Precision { get; init; } = PhasePrecision.F32;

    /// <summary>How the loss is scaled; read with the precision <c>f16</c> only.</summary>
    public LossScaleOptions LossScale { get; init; } = new();

    /// <summary>Which parameters learn in this phase at another rate or not at all, instead of the optimizer's rules, which count
    /// where null. What is frozen costs no gradient; what is frozen in every phase has no place in the optimizer. Which optimizer changes
    /// a parameter is for the optimizer's rules alone to say.</summary>
    public IReadOnlyList<ParameterRule>? Rules { get; init; }

    /// <summary>How many batches make one optimizer step, 1 to 65,536: the memory of one, the gradient of all, each target counting
    /// alike.</summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Whether layers of the model keep only their input for the way back and compute the rest once more there (Chen et al.
    /// 2016, arXiv 1604.06174): less memory, the same gradients, about a third more time. Recurrent encoders keep all.</summary>
    public bool Checkpointing { get; init; }

    /// <summary>The greatest norm of the gradient; longer ones are shortened. Greater than 0.</summary>
    public double ClipNorm { get; init; } = 1;

    internal void Validate(string path)
    {
        Require(Steps is not null || Minutes is not null, "steps", "missing", "steps, or minutes, or both");
        Require(Steps is null or >= 1, "steps", Steps, "at least 1");
        Require(Minutes is null or > 0, "minutes", Minutes, "greater than 0");
        Require(LearningRate > 0 && double.IsFinite(LearningRate), "learningRate", LearningRate, "greater than 0");
        Require(LabelSmoothing is >= 0 and < 1, "labelSmoothing", LabelSmoothing, "at least 0, below 1");
        Require(Accumulate is >= 1 and <= 65536, "accumulate", Accumulate, "1 to 65536");
        Require(ClipNorm > 0, "clipNorm", ClipNorm, "greater than 0");
        LossScale.Validate($"{path}.lossScale");
        Objective?.Validate($"{path}.objective");
        Length?.Validate($"{path}.length", least: 2);
        SourceLength?.Validate($"{path}.sourceLength", least: 1);
        for (var rule = 0; rule < Rules?.Count; rule++)
        {
            if (Rules[rule].Optimizer is null) continue;
            throw new RecipeException(
                $"{path}.rules[{rule}].optimizer",
                "is named in a phase; allowed: in optimizer.rules, since what an optimizer remembers lasts the whole run");
        }

        foreach (var (loss, weight) in Losses) Require(double.IsFinite(weight), $"losses.{loss}", weight, "a finite number");

        void Require(bool condition, string key, object? found, string allowed)
        {
            if (!condition) throw new RecipeException($"{path}.{key}", $"is {found}; allowed: {allowed}");
        }
    }
}
