using System.Globalization;
using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Text.Tokenizers;
using Tessera.Training.Checkpoints;

namespace Tessera.Training;

/// <summary>
/// Loading of a model from wherever it is: a finished run, a checkpoint of one, or any model folder or file.
/// <code>
/// var model = new LanguageModel(RunModel.Load("runs/mine", checkpoint: "best"));
/// </code>
/// </summary>
public static class RunModel
{
    /// <summary>Loads a model.</summary>
    /// <param name="path">A run's folder, a checkpoint's inside of it (<c>runs/mine/checkpoints/step-000000400</c>), or whatever
    /// <see cref="ModelFolders"/> load.</param>
    /// <param name="checkpoint">Of a run's folder: the step of a checkpoint, <c>last</c>, or <c>best</c> for the lowest validation loss;
    /// the finished model where null.</param>
    /// <param name="asStored">Whether weights of a finished model stay in the type they are stored in, as is enough to run
    /// it.</param>
    /// <exception cref="IOException">There is no such folder, or it holds no finished model.</exception>
    /// <exception cref="InvalidDataException">The run has no such checkpoint, or a file is damaged.</exception>
    /// <exception cref="RecipeException">The run's recipe is damaged, or what it starts from is gone.</exception>
    public static ModelFolder Load(string path, string? checkpoint = null, bool asStored = false)
    {
        if (RunOfCheckpoint(path) is { } run)
        {
            return checkpoint is null
                ? Of(run, Checkpoint.Load(path))
                : throw new InvalidDataException($"'{path}' is a checkpoint already; name its run, or leave the checkpoint out");
        }

        var folder = new RunFolder(path);
        if (checkpoint is not null) return Of(folder, Find(folder, checkpoint));
        if (folder.HasRun && !File.Exists(folder.Config) && Steps(folder) is { Count: > 0 } steps && !PeftAdapter.IsIn(path))
            throw new InvalidDataException(
                $"'{path}' holds a run that is not finished; name one of its checkpoints, which are {Listed(steps)}, best or last");
        return ModelFolder.Load(path, asStored);
    }

    /// <summary>The run whose checkpoint lies in a folder; null where the folder is none.</summary>
    /// <param name="path">Any path.</param>
    public static RunFolder? RunOfCheckpoint(string path)
    {
        if (!File.Exists(Path.Combine(path, CheckpointFormat.Hashes))) return null;
        var run = Path.GetDirectoryName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))));
        return run is not null && new RunFolder(run) is { HasRun: true } folder ? folder : null;
    }

    private static Checkpoint Find(RunFolder run, string checkpoint)
    {
        if (!run.HasRun) throw new InvalidDataException($"'{run.Path}' is no run, and has no checkpoints");
        var (store, steps) = (new CheckpointStore(run.Checkpoints), Steps(run));
        if (steps.Count == 0) throw new InvalidDataException($"'{run.Path}' has no checkpoints");
        string? damaged = null;
        var found = checkpoint switch
        {
            "last" => store.Latest(error => damaged ??= error.Message),
            "best" => store.Best(ComparedFrom(store), error => damaged ??= error.Message),
            _ => long.TryParse(checkpoint, NumberStyles.None, CultureInfo.InvariantCulture, out var step) && steps.Contains(step)
                ? Checkpoint.Load(store.FolderOf(step)!)
                : throw new InvalidDataException(
                    $"'{run.Path}' has no checkpoint '{checkpoint}'; allowed: {Listed(steps)}, best or last"),
        };
        if (found is not null) return found;
        throw new InvalidDataException(
            damaged ?? $"'{run.Path}' has no checkpoint with a validation loss; allowed: {Listed(steps)} or last");
    }

    private static ModelFolder Of(RunFolder run, Checkpoint checkpoint)
    {
        var recipe = Recipe.Load(run.Recipe);
        var plan = RunPlan.OfRun(recipe, recipe.Start is null ? Tokenizer.Load(run.Tokenizer) : null);
        checkpoint.Restore(plan.Learner);
        if (plan.Start is { } start)
        {
            var begun = start with { Model = plan.Model, Config = start.Config with { Model = recipe.Model }, Adapters = plan.Adapters };
            return PromptFiles.Read(run.Path, begun);
        }

        var config = new ModelConfig
        {
            Model = recipe.Model, Vocabulary = plan.Model.Vocabulary, Length = recipe.MaxLength, SourceLength = recipe.MaxSourceLength,
        };
        return PromptFiles.Read(run.Path, new ModelFolder(config, plan.Tokenizer, plan.Model));
    }

    /// <summary>Losses of the checkpoints up to this step are of other data.</summary>
    private static long ComparedFrom(CheckpointStore store) => store.Latest()?.State<TrainingState>().ComparedFrom ?? -1;

    private static IReadOnlyList<long> Steps(RunFolder run) => new CheckpointStore(run.Checkpoints).Steps;

    private static string Listed(IReadOnlyList<long> steps) => string.Join(", ", steps);
}
