using System.Text.Json;
using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Checkpoints;
using Tessera.Training.Data;
using Tessera.Training.Optimizers;

namespace Tessera.Training;

/// <summary>All that a run is made of: corpus, tokenizer, datasets, model, optimizer and where training stands.</summary>
internal sealed class TrainingSession
{
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "state.json";

    private readonly CheckpointStore _store;

    private TrainingSession(Recipe recipe, RunFolder folder, Corpus corpus, Tokenizer tokenizer)
    {
        (Recipe, Folder, Tokenizer) = (recipe, folder, tokenizer);
        Model = recipe.Model.Build(tokenizer.VocabularySize, recipe.Seed);
        Train = Dataset.Of(corpus.Train, tokenizer, recipe.Batches, Model.ReadsSource);
        Validation = corpus.Validation.Count == 0 ? null : Dataset.Of(corpus.Validation, tokenizer, recipe.Batches, Model.ReadsSource);
        Parameters = [.. Model.Parameters()];
        Optimizer = BuildOptimizer(recipe, Parameters);
        State = new TrainingState { Data = Train.Fingerprint() };
        _store = new CheckpointStore(folder.Checkpoints, recipe.Checkpoints.Keep);
    }

    public Recipe Recipe { get; }

    public RunFolder Folder { get; }

    public Tokenizer Tokenizer { get; }

    public SequenceModel Model { get; }

    public Dataset Train { get; }

    public Dataset? Validation { get; }

    public Optimizer Optimizer { get; }

    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    public TrainingState State { get; private set; }

    /// <summary>Begins a run in an empty folder, or goes on from the folder's newest whole checkpoint.</summary>
    /// <param name="recipe">What to do.</param>
    /// <param name="recipeFolder">Where the recipe's relative paths start.</param>
    /// <param name="folder">Where the run lives.</param>
    /// <param name="resume">Whether to go on.</param>
    /// <param name="cancellation">Stops the preparation.</param>
    public static TrainingSession Open(Recipe recipe, string recipeFolder, RunFolder folder, bool resume, CancellationToken cancellation)
    {
        var corpus = recipe.Data.Load(recipeFolder, cancellation);
        var tokenizer = resume && File.Exists(folder.Tokenizer)
            ? Tokenizer.Load(folder.Tokenizer)
            : TokenizerFor(recipe, recipeFolder, corpus, cancellation);
        var session = new TrainingSession(recipe, folder, corpus, tokenizer);
        // Nothing is written before everything that can be wrong with recipe and data has been found.
        Directory.CreateDirectory(folder.Path);
        if (!resume) tokenizer.Save(folder.Tokenizer);
        if (!resume) RunFolder.Write(folder.Origin, Path.GetFullPath(recipeFolder) + "\n");
        if (!resume) RunFolder.Write(folder.Recipe, recipe.ToJson() + "\n");
        if (resume) session.Restore();
        return session;
    }

    /// <summary>Saves the state of training; returns where.</summary>
    public string Save() => _store.Save(State.Step, folder =>
    {
        Weights.Save(Path.Combine(folder, ModelFolder.WeightsFile), Model);
        Weights.SaveTensors(Path.Combine(folder, OptimizerFile), Optimizer.State);
        File.WriteAllText(Path.Combine(folder, StateFile), JsonSerializer.Serialize(State));
    });

    /// <summary>Writes the finished model beside the recipe.</summary>
    public void Finish()
    {
        if (File.Exists(Folder.Best)) File.Copy(Folder.Best, Folder.Weights + ".tmp", overwrite: true);
        else Weights.Save(Folder.Weights + ".tmp", Model);
        File.Move(Folder.Weights + ".tmp", Folder.Weights, overwrite: true);
        var config = new ModelConfig
        {
            Model = Recipe.Model, Vocabulary = Tokenizer.VocabularySize, Length = Recipe.Batches.Length, SourceLength = Recipe.Batches.SourceLength,
        };
        RunFolder.Write(Folder.Config, RecipeJson.Write(config) + "\n");
    }

    /// <summary>Keeps the current weights as the best so far.</summary>
    public void KeepBest()
    {
        Weights.Save(Folder.Best + ".tmp", Model);
        File.Move(Folder.Best + ".tmp", Folder.Best, overwrite: true);
    }

    private static Optimizer BuildOptimizer(Recipe recipe, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        try
        {
            return recipe.Optimizer.Build(parameters);
        }
        catch (ArgumentException error)
        {
            throw new RecipeException("optimizer", error.Message);
        }
    }

    private static Tokenizer TokenizerFor(Recipe recipe, string recipeFolder, Corpus corpus, CancellationToken cancellation)
    {
        if (recipe.Tokenizer.File is { } file) return Tokenizer.Load(Path.Combine(recipeFolder, file));
        var texts = corpus.Train.SelectMany(example => example.Source is null ? [example.Target] : new[] { example.Source, example.Target });
        return BytePairTrainer.Train(texts, new BytePairTrainerOptions(recipe.Tokenizer.Vocabulary, SpecialTokens: SpecialTokens.Texts), cancellation);
    }

    private void Restore()
    {
        if (_store.Latest() is not { } checkpoint) return; // killed before the first checkpoint: from the start
        var state = JsonSerializer.Deserialize<TrainingState>(File.ReadAllText(Path.Combine(checkpoint, StateFile)))!;
        if (state.Data != State.Data)
            throw new InvalidDataException($"{checkpoint}: the run was trained on other data than the recipe's corpus gives now; start a new run");
        Weights.Load(Path.Combine(checkpoint, ModelFolder.WeightsFile), Model);
        Weights.LoadTensors(Path.Combine(checkpoint, OptimizerFile), Optimizer.State);
        State = state;
        MetricsLog.Cut(Folder.Metrics, state.Step);
    }
}
