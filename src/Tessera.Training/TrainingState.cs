using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>Where training stands: with the weights and the optimizer's tensors, all that a resumed run needs. Random
/// numbers and the order of the data are functions of the seed and of these counts.</summary>
internal sealed record TrainingState
{
    /// <summary>Optimizer steps done.</summary>
    public long Step { get; set; }

    /// <summary>Index of the phase.</summary>
    public int Phase { get; set; }

    /// <summary>Steps done of the phase.</summary>
    public long PhaseStep { get; set; }

    /// <summary>Seconds of training of the phase.</summary>
    public double PhaseSeconds { get; set; }

    /// <summary>Seconds of training of all phases.</summary>
    public double Seconds { get; set; }

    /// <summary>Seconds of the phase when its warm-up ended.</summary>
    public double WarmupSeconds { get; set; }

    /// <summary>Where training stands in each of the run's datasets, in the order in which phases first use them.</summary>
    public IReadOnlyList<DataPosition> Datasets { get; set; } = [];

    /// <summary>The loss scale of the next step.</summary>
    public LossScale LossScale { get; set; } = LossScale.None;

    /// <summary>Steps left out because their gradients were not finite.</summary>
    public long Skipped { get; set; }

    /// <summary>Those of the phase.</summary>
    public long PhaseSkipped { get; set; }

    /// <summary>Whether the last step's loss was finite.</summary>
    public bool LossIsFinite { get; set; } = true;

    /// <summary>Tokens learned from.</summary>
    public long Tokens { get; set; }

    /// <summary>The lowest validation loss; none yet where null.</summary>
    public double? BestLoss { get; set; }

    /// <summary>The step of the weights that have it; null where the finished model is to have the last ones.</summary>
    public long? BestStep { get; set; }

    /// <summary>Evaluations since then.</summary>
    public int SinceBest { get; set; }

    /// <summary>The steps done when the validation losses that are compared began to be of the same examples.</summary>
    public long ComparedFrom { get; set; }

    /// <summary>Whether training has ended.</summary>
    public bool Done { get; set; }

    /// <summary>The share of a phase that is done, by steps or by time, whichever is further.</summary>
    public double Progress(Phase phase) => Math.Max(
        phase.Steps is { } steps ? (double)PhaseStep / steps : 0,
        phase.Minutes is { } minutes ? PhaseSeconds / (60 * minutes) : 0);
}

/// <summary>Where training stands in one dataset.</summary>
internal sealed record DataPosition
{
    /// <summary>Hash of the dataset's ids.</summary>
    public string Fingerprint { get; init; } = "";

    /// <summary>Passes that are complete, or were left for other lengths.</summary>
    public int Epoch { get; set; }

    /// <summary>Batches used of the current pass.</summary>
    public int BatchesUsed { get; set; }

    /// <summary>The length of the current pass; not begun where 0.</summary>
    public int Length { get; set; }

    /// <summary>The length of sources of the current pass.</summary>
    public int SourceLength { get; set; }
}

/// <summary>What the state of a run that Tessera 0.1 saved says of its one dataset.</summary>
/// <param name="Epoch">Passes that are complete.</param>
/// <param name="BatchesUsed">Batches used of the current pass.</param>
/// <param name="Data">Hash of the dataset's ids.</param>
internal sealed record EarlierState(int Epoch, int BatchesUsed, string Data)
{
    /// <summary>The same, as it is said now.</summary>
    public DataPosition Position => new() { Fingerprint = Data, Epoch = Epoch, BatchesUsed = BatchesUsed };
}
