namespace Tessera.Training;

/// <summary>Something that happened during training, for whoever watches.</summary>
public abstract record TrainingEvent;

/// <summary>Everything is ready: the data is read, the tokenizer trained or loaded, the model built.</summary>
/// <param name="Examples">Training examples.</param>
/// <param name="ValidationExamples">Validation examples.</param>
/// <param name="TooLong">Training examples left out because they are longer than <c>batches.length</c>.</param>
/// <param name="Vocabulary">Tokens known.</param>
/// <param name="Parameters">Weights of the model.</param>
/// <param name="ActiveParameters">Weights that take part in one token.</param>
/// <param name="Learning">Weights that learn in some phase: of the model, or of adapters beside it.</param>
/// <param name="Step">The step that training starts from: 0, or where a run is resumed.</param>
/// <param name="LeftOut">What the corpora left out, by reason, such as blank files.</param>
/// <param name="Precision">In which numbers each phase is to compute its products: <c>f32</c>, <c>bf16</c> or <c>f16</c>.</param>
/// <param name="ComputedIn">In which numbers this machine's kernels compute them: <c>f32</c> for <c>bf16</c> where they gain nothing from
/// it.</param>
public sealed record Prepared(
    int Examples, int ValidationExamples, int TooLong, int Vocabulary, long Parameters, long ActiveParameters, long Learning, long Step,
    IReadOnlyDictionary<string, int> LeftOut, IReadOnlyList<string> Precision, IReadOnlyList<string> ComputedIn) : TrainingEvent;

/// <summary>A checkpoint is damaged: an older one is gone on from.</summary>
/// <param name="Problem">What is wrong, and with which file.</param>
public sealed record CheckpointPassedOver(string Problem) : TrainingEvent;

/// <summary>A run goes on otherwise than it was begun: it no longer reaches the bits that it would have reached undisturbed.</summary>
/// <param name="Step">From which step on.</param>
/// <param name="Before">With which kernels, threads and precision it computed before.</param>
/// <param name="Now">With which it goes on.</param>
public sealed record MachineChanged(long Step, string Before, string Now) : TrainingEvent;

/// <summary>The loss of a step, or of the first of several in a row, is not finite; the step changes no weight.</summary>
/// <param name="Step">Which step.</param>
/// <param name="Loss">NaN or infinite.</param>
public sealed record LossNotFinite(long Step, double Loss) : TrainingEvent;

/// <summary>An optimizer step was done.</summary>
/// <param name="Step">How many steps have been done.</param>
/// <param name="Phase">The phase's name.</param>
/// <param name="Loss">The mean loss of the step's targets in nats a token, label smoothing included, parts' losses not.</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="GradientNorm">The norm of the gradient before clipping; not finite where the step was skipped.</param>
/// <param name="Tokens">How many tokens, source and target, have been learned from.</param>
/// <param name="TokensPerSecond">Over the last steps.</param>
/// <param name="Progress">The share of this phase that is done, 0 to 1.</param>
/// <param name="SecondsLeft">Of this phase, as far as can be told.</param>
/// <param name="LossScale">What the step's loss was multiplied by on the way back; 1 unless the phase computes in F16.</param>
/// <param name="Skipped">Steps of the run left out so far because their gradients were not finite.</param>
public sealed record StepDone(
    long Step, string Phase, double Loss, double LearningRate, double GradientNorm, long Tokens, double TokensPerSecond, double Progress,
    double SecondsLeft, double LossScale = 1, long Skipped = 0) : TrainingEvent;

/// <summary>The model was evaluated on the validation examples.</summary>
/// <param name="Step">After how many steps.</param>
/// <param name="Loss">Nats a token.</param>
/// <param name="IsBest">Whether no earlier loss was as low.</param>
/// <param name="ExpertUse">Jain's index of the routed experts' use, by layer; empty without experts.</param>
public sealed record Validated(long Step, double Loss, bool IsBest, IReadOnlyDictionary<string, double> ExpertUse) : TrainingEvent;

/// <summary>The finished model was written.</summary>
/// <param name="Step">How many steps were done.</param>
/// <param name="ModelStep">The step whose weights the model has: that of the lowest validation loss, or the last.</param>
/// <param name="Loss">The lowest validation loss in nats a token; null where nothing was validated.</param>
public sealed record Finished(long Step, long ModelStep, double? Loss) : TrainingEvent;

/// <summary>The state of training was saved.</summary>
/// <param name="Step">After how many steps.</param>
/// <param name="Path">Where.</param>
public sealed record Saved(long Step, string Path) : TrainingEvent;
