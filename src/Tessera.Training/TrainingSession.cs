using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Checkpoints;
using Tessera.Training.Data;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>All that a run is made of: corpus, tokenizer, datasets, model, optimizer and where training stands.</summary>
internal sealed class TrainingSession
{
    private readonly CheckpointStore _store;

    private TrainingSession(Recipe recipe, RunFolder folder, Corpus corpus, Tokenizer tokenizer, ModelFolder? start)
    {
        (Recipe, Folder, Tokenizer, Start) = (recipe, folder, tokenizer, start);
        Model = start is null ? recipe.Model.Build(tokenizer.VocabularySize, recipe.Seed) : StartingPoint.Model(start, recipe);
        RequirePositions(recipe.Batches, Model);
        var texts = start?.Texts ?? TextConventions.Own;
        Train = Dataset.Of(corpus.Train, tokenizer, texts, recipe.Batches, Model.ReadsSource);
        Validation = corpus.Validation.Count == 0 ? null : Dataset.Of(corpus.Validation, tokenizer, texts, recipe.Batches, Model.ReadsSource);
        StartingPoint.RequireTokens(Train, Model);
        if (Validation is not null) StartingPoint.RequireTokens(Validation, Model);
        if (recipe.Lora is { } lora)
        {
            Adapters = LoraAdapters.Attach(Model, lora, new CounterRandom(recipe.Seed));
            foreach (var (_, parameter) in Model.Parameters()) parameter.IsFrozen = true;
            _ = PeftAdapter.Tensors(Adapters, start!.Names).ToList(); // what cannot be named cannot be saved at the end
        }

        Parameters = [.. Learner.Parameters()];
        Rules = new PhaseRules(recipe, Parameters);
        State = new TrainingState { Data = Train.Fingerprint() };
        _store = new CheckpointStore(folder.Checkpoints, recipe.Checkpoints.Keep);
    }

    public Recipe Recipe { get; }

    public RunFolder Folder { get; }

    public Tokenizer Tokenizer { get; }

    public SequenceModel Model { get; }

    /// <summary>The model that the run went on from, as it was loaded; null where it began anew.</summary>
    public ModelFolder? Start { get; }

    /// <summary>What learns instead of the model; null where the model does.</summary>
    public LoraAdapters? Adapters { get; }

    /// <summary>What learns, and is saved.</summary>
    public Module Learner => Adapters is null ? Model : Adapters;

    public Dataset Train { get; }

    public Dataset? Validation { get; }

    public Optimizer Optimizer => Rules.Optimizer;

    public PhaseRules Rules { get; }

    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    public TrainingState State { get; private set; }

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
        var corpus = recipe.Data.Load(recipeFolder, cancellation);
        var start = recipe.Start is { } path ? StartingPoint.Load(path, asStored: recipe.Lora is not null, check: true) : null;
        if (recipe.Lora is null && start is { Path: null })
            throw new RecipeException("start", $"is '{recipe.Start}', a file whose weights cannot be written back; convert it to a folder, or train adapters (lora)");
        var tokenizer = start is not null ? start.Tokenizer
            : goesOn ? Tokenizer.Load(folder.Tokenizer)
            : TokenizerFor(recipe, recipeFolder, corpus, cancellation);
        var session = new TrainingSession(recipe, folder, corpus, tokenizer, start);
        // Nothing is written before everything that can be wrong with recipe and data has been found.
        Directory.CreateDirectory(folder.Path);
        if (goesOn)
        {
            session.RequireSameRecipe();
            session.Restore();
            return session;
        }

        if (start is null) tokenizer.Save(folder.Tokenizer);
        RunFolder.Write(folder.Origin, Path.GetFullPath(recipeFolder) + "\n");
        RunFolder.Write(folder.Recipe, recipe.ToJson() + "\n");
        return session;
    }

    /// <summary>Saves the state of training, with the validation loss where these are the best weights; returns where.</summary>
    public string Save() => _store.Save(
        State.Step,
        checkpoint =>
        {
            checkpoint.Model(Learner);
            checkpoint.Optimizer(Optimizer);
            checkpoint.State(State);
        },
        State.BestStep == State.Step ? State.BestLoss : null).Folder;

    /// <summary>Writes the finished model beside the recipe: with early stopping the best, else the last.</summary>
    public void Finish()
    {
        if (Recipe.Validation.Patience is not null) _store.Best()?.Restore(Learner);
        if (Start is not null)
        {
            FinishedModel.Save(this);
            return;
        }

        Weights.Save(Folder.Weights, Model);
        var config = new ModelConfig
        {
            Model = Recipe.Model, Vocabulary = Tokenizer.VocabularySize, Length = Recipe.Batches.Length, SourceLength = Recipe.Batches.SourceLength,
            WeightsHash = ModelFolder.Hash(Folder.Weights),
        };
        RunFolder.Write(Folder.Config, RecipeJson.Write(config) + "\n");
    }

    /// <summary>Sequences are framed with the ids that tokenizers trained here give their special tokens.</summary>
    private static Tokenizer WithSpecialTokens(Tokenizer tokenizer)
    {
        for (var id = 0; id < SpecialTokens.Texts.Count; id++)
        {
            if (tokenizer.Find(SpecialTokens.Texts[id]) != id)
                throw new RecipeException("tokenizer.file", $"has another token than '{SpecialTokens.Texts[id]}' with the id {id}; allowed: a tokenizer whose first tokens are {string.Join(", ", SpecialTokens.Texts)}");
        }

        return tokenizer;
    }

    /// <summary>Sequences must fit the tables of the model's position encodings.</summary>
    private static void RequirePositions(BatchOptions batches, SequenceModel model)
    {
        Require("batches.length", batches.Length, model.LongestSequence);
        if (model.ReadsSource) Require("batches.sourceLength", batches.SourceLength, model.LongestSource);

        static void Require(string path, int found, int max)
        {
            if (found > max) throw new RecipeException(path, $"is {found}; allowed: at most {max}, the positions that the model's encoding has");
        }
    }

    private static Tokenizer TokenizerFor(Recipe recipe, string recipeFolder, Corpus corpus, CancellationToken cancellation)
    {
        if (recipe.Tokenizer.File is { } file) return WithSpecialTokens(Tokenizer.Load(Path.Combine(recipeFolder, file)));
        var texts = corpus.Train.SelectMany(example => example.Source is null ? [example.Target] : new[] { example.Source, example.Target });
        return BytePairTrainer.Train(texts, new BytePairTrainerOptions(recipe.Tokenizer.Vocabulary, SpecialTokens: SpecialTokens.Texts), cancellation);
    }

    /// <summary>A run that went on with another recipe would be neither's. Only how long its phases last, and in which numbers
    /// they compute, may be changed.</summary>
    private void RequireSameRecipe()
    {
        if (RecipeJson.FirstDifference(WithoutLengths(Recipe.Load(Folder.Recipe)), WithoutLengths(Recipe)) is { } path)
            throw new RecipeException(path, $"differs from the run's own recipe, {Folder.Recipe}; resume with that, or begin a new run");
        RunFolder.Write(Folder.Recipe, Recipe.ToJson() + "\n");

        static JsonObject WithoutLengths(Recipe recipe)
        {
            var json = RecipeJson.Parse(recipe.ToJson(), "recipe.json");
            foreach (var phase in json["phases"]!.AsArray().OfType<JsonObject>())
                foreach (var key in (string[])["steps", "minutes", "precision"]) phase.Remove(key);

            return json;
        }
    }

    private void Restore()
    {
        if (_store.Latest(damaged => PassedOver.Add(damaged.Message)) is not { } checkpoint)
        {
            if (PassedOver.Count > 0) throw new InvalidDataException($"{PassedOver[0]}; no other checkpoint of the run is whole, start a new run");
            MetricsLog.Cut(Folder.Metrics, 0); // killed before the first checkpoint: from the start
            return;
        }

        var state = checkpoint.State<TrainingState>();
        if (state.Data != State.Data)
            throw new InvalidDataException($"{checkpoint.Folder}: the run was trained on other data than the recipe's corpus gives now; start a new run");
        checkpoint.Restore(Learner);
        checkpoint.Restore(Optimizer);
        State = state;
        MetricsLog.Cut(Folder.Metrics, state.Step);
    }
}
