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

    /// <summary>Seconds of the phase when its warm-up ended.</summary>
    public double WarmupSeconds { get; set; }

    /// <summary>Passes over the data that are complete.</summary>
    public int Epoch { get; set; }

    /// <summary>Batches used of the current pass.</summary>
    public int BatchesUsed { get; set; }

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

    /// <summary>The step of the weights that have it; kept with early stopping only.</summary>
    public long? BestStep { get; set; }

    /// <summary>Evaluations since then.</summary>
    public int SinceBest { get; set; }

    /// <summary>Whether training has ended.</summary>
    public bool Done { get; set; }

    /// <summary>Hash of the training data's ids.</summary>
    public string Data { get; set; } = "";
}
