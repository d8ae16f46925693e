using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;

namespace Tessera.Training;

/// <summary>
/// What a recipe comes to, before its first step: the model that it starts from or builds, what of it learns, by which optimizer and
/// in which phase, and which losses there are. Training, <c>recipe show</c> and <c>recipe check</c> prepare by it alike; training reads
/// the data besides. No weight is drawn.
/// </summary>
public sealed class RunPlan
{
    private RunPlan(Recipe recipe, ModelFolder? start, Tokenizer? tokenizer)
    {
        (Recipe, Start, Tokenizer) = (recipe, start, tokenizer);
        Format = start?.PromptFormat ?? PromptFormat.Own;
        Model = start is null
            ? recipe.Model.Build(tokenizer?.VocabularySize ?? recipe.Tokenizer.Vocabulary, recipe.Seed)
            : RecipeStart.Model(start, recipe);
        Phases = [.. recipe.Phases.Select((phase, index) => new PhasePlan(
            $"phases[{index}]", phase, phase.Objective ?? ObjectiveOptions.For(Model), phase.Length ?? recipe.Batches.Length,
            phase.SourceLength ?? recipe.Batches.SourceLength))];
        foreach (var phase in Phases)
        {
            RequireLengths(phase);
            RequireObjective(phase);
        }

        if (recipe.Lora is { } lora)
        {
            Adapters = LoraAdapters.Attach(Model, lora, new CounterRandom(recipe.Seed));
            if (Adapters.Tied is (var name, var other))
            {
                throw new RecipeException(
                    "lora.targets",
                    $"names '{name}', whose weights are those of '{other}' too (tieEmbeddings); "
                    + "allowed: weights of one part, since adapters of tied weights cannot be merged");
            }

            foreach (var (_, parameter) in Model.Parameters()) parameter.IsFrozen = true;
            PeftAdapter.RequireNames(Adapters, start!.NamesOf(Adapters)); // what cannot be named cannot be saved at the end
        }

        Parameters = new ParameterGroups(recipe, Learner.Parameters());
        Losses = [.. Model.Modules().SelectMany(named => named.Module.OfferedLosses).Distinct()];
        Measurements = [.. Model.Modules().SelectMany(named => named.Module.OfferedMeasurements).Distinct()];
    }

    /// <summary>The recipe.</summary>
    public Recipe Recipe { get; }

    /// <summary>The model that the run goes on from, as it was loaded; null where it begins anew.</summary>
    public ModelFolder? Start { get; }

    /// <summary>Turns texts into tokens; null where it is not known before the data is read.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>How the model is prompted, and so how its texts are framed.</summary>
    public PromptFormat Format { get; private set; }

    /// <summary>The model, with as many tokens as its tokenizer has, or will have been trained to have.</summary>
    public SequenceModel Model { get; }

    /// <summary>What learns instead of the model; null where the model does.</summary>
    public LoraAdapters? Adapters { get; }

    /// <summary>What learns, and is saved.</summary>
    public Module Learner => Adapters is null ? Model : Adapters;

    /// <summary>Which parameters learn, and by which optimizer.</summary>
    public ParameterGroups Parameters { get; }

    /// <summary>The losses of the model's parts that a phase can weigh.</summary>
    public IReadOnlyList<string> Losses { get; }

    /// <summary>What evaluation can measure in the model's parts, by the names of metrics.</summary>
    public IReadOnlyList<string> Measurements { get; }

    /// <summary>The phases.</summary>
    public IReadOnlyList<PhasePlan> Phases { get; }

    /// <summary>The memory that training takes at least, in bytes: weights, and of what learns gradients and the two moments of AdamW.
    /// What a batch takes comes on top.</summary>
    public long MemoryBytes
    {
        get
        {
            var adapters = Adapters is null ? 0 : MachineMemory.BytesOf(Adapters);
            var learning = Parameters.Learning.Sum(own => own.Parameter.Shape.Count);
            return MachineMemory.BytesOf(Model) + adapters + (3 * sizeof(float) * learning);
        }
    }

    /// <summary>How much the corpora left out, by reason; nothing where they were not read.</summary>
    internal IReadOnlyDictionary<string, int> LeftOut { get; private set; } = new Dictionary<string, int>();

    /// <summary>The dataset of each phase; none where the data was not read.</summary>
    internal IReadOnlyList<RunDataset> Data { get; private set; } = [];

    /// <summary>Prepares a run without its data, to be looked at.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folder">Where the recipe's relative paths start. A tokenizer's file that is not there is passed over: training may be
    /// told another folder.</param>
    /// <param name="check">Whether to read the weights of a start, to see that they are those that were written.</param>
    /// <exception cref="RecipeException">The recipe asks for what cannot be.</exception>
    /// <exception cref="InvalidDataException">The start is damaged or has no tokenizer.</exception>
    public static RunPlan Of(Recipe recipe, string folder, bool check = true)
    {
        recipe.Validate();
        var start = RecipeStart.Of(recipe, check);
        var file = recipe.Tokenizer.File is { } name ? Path.Combine(folder, name) : null;
        return new RunPlan(recipe, start, start?.Tokenizer ?? (File.Exists(file) ? RunTokenizer.Load(file) : null));
    }

    /// <summary>What a run has come to, for the weights of its checkpoints.</summary>
    /// <param name="recipe">The run's own recipe.</param>
    /// <param name="tokenizer">The run's own; null where it has that of its start.</param>
    /// <exception cref="RecipeException">What the run starts from is gone.</exception>
    internal static RunPlan OfRun(Recipe recipe, Tokenizer? tokenizer)
    {
        var start = RecipeStart.Of(recipe);
        return new RunPlan(recipe, start, tokenizer ?? start?.Tokenizer);
    }

    /// <summary>Prepares a run with its data.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folder">Where the recipe's relative paths start.</param>
    /// <param name="tokenizer">That of a run that goes on; trained or loaded where null.</param>
    /// <param name="cancellation">Stops reading and training the tokenizer.</param>
    /// <exception cref="RecipeException">The recipe asks for what cannot be.</exception>
    /// <exception cref="InvalidDataException">The corpus or the start is not as it should be.</exception>
    internal static RunPlan WithData(Recipe recipe, string folder, Tokenizer? tokenizer, CancellationToken cancellation)
    {
        recipe.Validate();
        var corpora = new RunCorpora(recipe, folder, cancellation);
        if (recipe.Start is null) recipe = recipe with { Model = Labels.Collected(recipe.Model, corpora.Targets) };
        var start = RecipeStart.Of(recipe);
        var plan = new RunPlan(recipe, start, start?.Tokenizer ?? tokenizer ?? RunTokenizer.For(recipe, folder, corpora, cancellation));
        plan.RequireLosses();
        plan.Format = RunChat.Format(plan.Format, plan.Tokenizer!, recipe, folder, corpora);
        plan.LeftOut = corpora.LeftOut;
        plan.Read(corpora);
        return plan;
    }

    /// <summary>Throws for a loss that a phase weighs and no part offers. Training begins with this; who only looks at a model may do
    /// without.</summary>
    /// <exception cref="RecipeException">There is one.</exception>
    public void RequireLosses()
    {
        foreach (var phase in Phases)
        {
            if (phase.Phase.Losses.Keys.FirstOrDefault(name => !Losses.Contains(name)) is not { } unknown) continue;
            var allowed = Losses.Count == 0 ? "none, this model's parts report no losses" : string.Join(", ", Losses);
            throw new RecipeException($"{phase.Path}.losses.{unknown}", $"is no loss of this model; allowed: {allowed}");
        }
    }

    /// <summary>Encodes the examples of each phase; phases that learn the same from the same share them.</summary>
    private void Read(RunCorpora corpora)
    {
        var (datasets, data) = (new Dictionary<string, RunDataset>(), new List<RunDataset>());
        foreach (var phase in Phases)
        {
            var (corpus, corpusKey) = corpora.Of(phase.Phase);
            var key = string.Join('\n', corpusKey, RecipeJson.Write(phase.Objective), phase.Length, phase.SourceLength);
            if (!datasets.TryGetValue(key, out var dataset))
            {
                var objective = phase.Objective.Build(new ObjectiveContext(Model, Tokenizer!, Format));
                dataset = RunDataset.Of(datasets.Count, corpus, objective, Recipe.Batches, phase, Recipe.Validation.Examples);
                StartingPoint.RequireTokens(dataset.Train, Model);
                if (dataset.Validation is not null) StartingPoint.RequireTokens(dataset.Validation, Model);
                datasets.Add(key, dataset);
            }

            data.Add(dataset);
        }

        Data = data;
    }

    /// <summary>Sequences must fit the tables of the model's position encodings, and what the objective makes of them.</summary>
    private void RequireLengths(PhasePlan phase)
    {
        Require(phase.LengthPath, phase.Length, phase.Objective.MinLength(), Model.LongestSequence);
        if (Model.ReadsSource) Require(phase.SourceLengthPath, phase.SourceLength, phase.Objective.MinSourceLength(), Model.LongestSource);

        static void Require(string path, LengthSchedule found, int min, int max)
        {
            if (found.Max > max)
                throw new RecipeException(path, $"is {found.Max}; allowed: at most {max}, the positions that the model's encoding has");
            if (found.Min < min)
                throw new RecipeException(path, $"is {found.Min}; allowed: at least {min}, for what the objective makes of a text");
        }
    }

    private void RequireObjective(PhasePlan phase)
    {
        phase.Objective.RequireFits(Model, $"{phase.Path}.objective");
        if (Tokenizer is null) return; // it will be trained with all of them
        foreach (var (key, text) in phase.Objective.Sentinels())
        {
            var (path, found) = ($"{phase.Path}.objective.{key}", Tokenizer.Find(text));
            if (found is null)
                throw new RecipeException(path, $"names '{text}', which is no token of the tokenizer; allowed: tokens that it has");
            if (found >= Model.Vocabulary)
                throw new RecipeException(path, $"names '{text}', token {found}; the model has the tokens 0 to {Model.Vocabulary - 1}");
        }
    }
}
