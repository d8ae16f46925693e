using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Checkpoints;
using Tessera.Training.Data;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>A run that is going on: what was prepared, its optimizers, and where training stands.</summary>
internal sealed class TrainingSession
{
    private readonly CheckpointStore _store;

    private TrainingSession(RunPlan plan, RunFolder folder)
    {
        (Plan, Folder) = (plan, folder);
        Parameters = [.. plan.Learner.Parameters()];
        Optimizers = plan.Parameters.Build();
        State = new TrainingState { Datasets = [.. Datasets.Select(data => new DataPosition { Fingerprint = data.Train.Fingerprint() })] };
        _store = new CheckpointStore(folder.Checkpoints, plan.Recipe.Checkpoints.Keep);
    }

    public RunPlan Plan { get; }

    public RunFolder Folder { get; }

    public Recipe Recipe => Plan.Recipe;

    public SequenceModel Model => Plan.Model;

    public LoraAdapters? Adapters => Plan.Adapters;

    public OptimizerGroups Optimizers { get; }

    /// <summary>All of what may learn, by name.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    public TrainingState State { get; private set; }

    /// <summary>The current phase.</summary>
    public PhasePlan Phase => Plan.Phases[State.Phase];

    /// <summary>What the current phase learns from.</summary>
    public RunDataset Data => Plan.Data[State.Phase];

    /// <summary>The datasets of all phases, each once, in the order of their indices.</summary>
    public IEnumerable<RunDataset> Datasets => Plan.Data.Distinct();

    /// <summary>Why newer checkpoints than the one gone on from were passed over.</summary>
    public List<string> PassedOver { get; } = [];

    /// <summary>Begins a run in an empty folder, or goes on from the folder's newest whole checkpoint.</summary>
    /// <param name="recipe">What to do.</param>
    /// <param name="recipeFolder">Where the recipe's relative paths start.</param>
    /// <param name="folder">Where the run lives.</param>
    /// <param name="resume">Whether to go on.</param>
    /// <param name="cancellation">Stops the preparation.</param>
    public static TrainingSession Open(Recipe recipe, string recipeFolder, RunFolder folder, bool resume, CancellationToken cancellation)
    {
        var goesOn = resume && folder.HasRun; // the recipe is written last: without it the run was killed before it began
        recipe = goesOn ? RunPrecision.Same(recipe, Recipe.Load(folder.Recipe)) : RunPrecision.Decide(recipe);
        var tokenizer = goesOn && recipe.Start is null ? Tokenizer.Load(folder.Tokenizer) : null;
        var session = new TrainingSession(RunPlan.WithData(recipe, recipeFolder, tokenizer, cancellation), folder);
        // Nothing is written before everything that can be wrong with recipe and data has been found.
        Directory.CreateDirectory(folder.Path);
        if (goesOn)
        {
            var begun = Recipe.Load(folder.Recipe);
            session.RequireSameRecipe(begun);
            session.Restore();
            session.RequireUnfinished(begun);
            RunFolder.Write(folder.Recipe, session.Recipe.ToJson() + "\n");
            return session;
        }

        if (recipe.Start is null) session.Plan.Tokenizer!.Save(folder.Tokenizer);
        session.WritePrompts();
        RunFolder.Write(folder.Origin, Path.GetFullPath(recipeFolder) + "\n");
        RunFolder.Write(folder.Recipe, session.Recipe.ToJson() + "\n"); // with the labels that were collected
        return session;
    }

    /// <summary>Saves the state of training, with the validation loss where these are the best weights; returns where.</summary>
    public string Save() => _store.Save(
        State.Step,
        checkpoint =>
        {
            checkpoint.Model(Plan.Learner);
            checkpoint.Optimizer(Optimizers.State);
            checkpoint.State(State);
        },
        State.BestStep == State.Step ? State.BestLoss : null,
        State.ComparedFrom).Folder;

    /// <summary>Writes the finished model beside the recipe, of the best weights or the last, as the recipe says.</summary>
    /// <param name="damaged">Told why better weights were passed over.</param>
    /// <returns>The step that the weights are of.</returns>
    public long Finish(Action<Exception> damaged)
    {
        var best = Recipe.Validation.FinishWith == FinishedWeights.Best ? _store.Best(State.ComparedFrom, damaged) : null;
        if (best is not null && best.Step != State.Step) best.Restore(Plan.Learner);
        if (Plan.Start is null) SaveModel();
        else FinishedModel.Save(Plan, Folder);
        WritePrompts();
        return best?.Step ?? State.Step;
    }

    /// <summary>Writes how the model is prompted: checkpoints are prompted as the finished model is.</summary>
    private void WritePrompts()
    {
        var last = Plan.Data[^1];
        PromptFiles.Write(Folder.Path, Plan.Format with { ReadsPairs = last.HasPairs }, last.HasConversations);
    }

    private void SaveModel()
    {
        Weights.Save(Folder.Weights, Model);
        var config = new ModelConfig
        {
            Model = Recipe.Model, Vocabulary = Model.Vocabulary, Length = Recipe.MaxLength, SourceLength = Recipe.MaxSourceLength,
            WeightsHash = ModelFolder.Hash(Folder.Weights),
        };
        RunFolder.Write(Folder.Config, RecipeJson.Write(config) + "\n");
    }

    /// <summary>A run that went on with another recipe would be neither's. Only how long its phases last, and in which numbers
    /// they compute, may be changed.</summary>
    private void RequireSameRecipe(Recipe begun)
    {
        if (RecipeJson.FirstDifference(WithoutLengths(begun), WithoutLengths(Recipe)) is { } path)
            throw new RecipeException(path, $"differs from the run's own recipe, {Folder.Recipe}; resume with that, or begin a new run");

        static JsonObject WithoutLengths(Recipe recipe)
        {
            var json = RecipeJson.Parse(recipe.ToJson(), "recipe.json");
            foreach (var phase in json["phases"]!.AsArray().OfType<JsonObject>())
                foreach (var key in (string[])["steps", "minutes", "precision"]) phase.Remove(key);

            return json;
        }
    }

    /// <summary>A finished run has gone down its schedule to the end: longer phases would not be those it was trained in.</summary>
    private void RequireUnfinished(Recipe begun)
    {
        if (!State.Done || RecipeJson.FirstDifference(RecipeJson.Tree(begun), RecipeJson.Tree(Recipe)) is not { } path) return;
        throw new RecipeException(
            path, $"is changed, but the run in '{Folder.Path}' has finished after step {State.Step}; "
            + $"begin a new run that starts from its model (\"start\": \"{Folder.Path}\")");
    }

    private void Restore()
    {
        if (_store.Latest(damaged => PassedOver.Add(damaged.Message)) is not { } checkpoint)
        {
            if (PassedOver.Count > 0)
                throw new InvalidDataException($"{PassedOver[0]}; no other checkpoint of the run is whole, start a new run");
            MetricsLog.Cut(Folder.Metrics, 0); // killed before the first checkpoint: from the start
            return;
        }

        var state = checkpoint.State<TrainingState>();
        if (state.Datasets.Count == 0) state.Datasets = [checkpoint.State<EarlierState>().Position];
        if (!state.Datasets.Select(data => data.Fingerprint).SequenceEqual(State.Datasets.Select(data => data.Fingerprint)))
            throw new InvalidDataException(
                $"{checkpoint.Folder}: the run was trained on other data than the recipe's corpus gives now; start a new run");
        checkpoint.Restore(Plan.Learner);
        checkpoint.Restore(Optimizers.State);
        State = state;
        MetricsLog.Cut(Folder.Metrics, state.Step);
    }
}
