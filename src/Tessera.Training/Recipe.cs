using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;

namespace Tessera.Training;

/// <summary>An experiment as data: what to learn from, what model to build of which parts, and how to train it.</summary>
public sealed record Recipe
{
    private const string PartsKey = "parts";

    /// <summary>What the run is called; also its folder under <c>runs/</c> unless another is given.</summary>
    public required string Name { get; init; }

    /// <summary>Where all random numbers come from: initial weights, order of the data, dropout.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>A model to go on from, as a path from the recipe's folder: a folder of ours or of Hugging Face's, or a GGUF file. It
    /// gives the tokenizer and the first weights, and the model too where <see cref="Model"/> is absent.</summary>
    public string? Start { get; init; }

    /// <summary>Adapters of low rank that learn instead of the model; none where null. Needs <see cref="Start"/>.</summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>Assemblies with parts of their own, as paths from the recipe's folder: their records that are marked <c>[Part("kind")]</c>
    /// can be named like any other part. Their code runs: name only what you trust.</summary>
    public IReadOnlyList<string> Parts { get; init; } = [];

    /// <summary>The tokenizer to train, or to load.</summary>
    public TokenizerOptions Tokenizer { get; init; } = new();

    /// <summary>The model; may be absent where the recipe has a <see cref="Start"/>.</summary>
    public ModelOptions Model { get; init; } = null!;

    /// <summary>The corpus of phases that name none, and of <c>tessera evaluate</c>.</summary>
    public required CorpusOptions Data { get; init; }

    /// <summary>How examples are put together into batches.</summary>
    public BatchOptions Batches { get; init; } = new();

    /// <summary>What changes the weights.</summary>
    public OptimizerOptions Optimizer { get; init; } = new AdamWOptions();

    /// <summary>The phases of training, one after the other; at least one.</summary>
    public required IReadOnlyList<Phase> Phases { get; init; }

    /// <summary>Evaluation during training.</summary>
    public ValidationOptions Validation { get; init; } = new();

    /// <summary>When the state of training is saved.</summary>
    public CheckpointOptions Checkpoints { get; init; } = new();

    /// <summary>What <c>tessera evaluate</c> measures; see <c>tessera evaluate --help</c> for the names.</summary>
    public IReadOnlyList<string> Evaluate { get; init; } = [];

    /// <summary>The longest target that any phase learns, in tokens.</summary>
    [JsonIgnore]
    public int MaxLength => Phases.Max(phase => phase.Length?.Max ?? Batches.Length);

    /// <summary>The longest source that any phase learns from, in tokens.</summary>
    [JsonIgnore]
    public int MaxSourceLength => Phases.Max(phase => phase.SourceLength?.Max ?? Batches.SourceLength);

    /// <summary>The special tokens of a tokenizer that is trained for it: those that frame sequences, and those by which objectives mark
    /// places.</summary>
    internal IReadOnlyList<string> SpecialTexts =>
    [
        .. SpecialTokens.Texts
            .Concat(Phases.SelectMany(phase => phase.Objective?.Sentinels() ?? ObjectiveOptions.UsualSentinels(Model))
                .Select(token => token.Text))
            .Distinct(),
    ];

    /// <summary>Reads a recipe.</summary>
    /// <param name="path">A JSON file.</param>
    /// <param name="settings">Changes such as <c>model.decoder.layers=2</c>; see <see cref="RecipeSettings"/>.</param>
    /// <param name="note">Takes what people should know of the changes, a line each: which options a swapped part does not take.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="RecipeException">The recipe is not valid; the message says where and what is allowed.</exception>
    public static Recipe Load(string path, IReadOnlyList<string>? settings = null, Action<string>? note = null)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"there is no recipe '{path}'", path);
        return Read(RecipeJson.Parse(File.ReadAllText(path), path), settings, Path.GetDirectoryName(Path.GetFullPath(path))!, note);
    }

    /// <summary>As <see cref="Load"/>, from a JSON tree.</summary>
    /// <param name="json">The recipe.</param>
    /// <param name="settings">Changes to it.</param>
    /// <param name="folder">Where <see cref="Start"/> and <see cref="Parts"/> begin.</param>
    /// <param name="note">As for <see cref="Load"/>.</param>
    /// <exception cref="RecipeException">The recipe is not valid; the message says where and what is allowed.</exception>
    public static Recipe Read(JsonObject json, IReadOnlyList<string>? settings = null, string folder = ".", Action<string>? note = null)
    {
        json.Remove("$schema");
        var ofParts = (settings ?? []).ToLookup(setting => setting.StartsWith(PartsKey, StringComparison.Ordinal));
        RecipeSettings.Apply<Recipe>(json, [.. ofParts[true]]);
        LoadParts(json, folder);
        var written = ofParts[false].Any() ? json.DeepClone().AsObject() : null;
        foreach (var line in RecipeSettings.Apply<Recipe>(json, [.. ofParts[false]])) note?.Invoke(line);
        var recipe = RecipeJson.Read<Recipe>(json);
        if (recipe.Start is { } start)
        {
            start = Path.GetFullPath(start, Path.GetFullPath(folder));
            var model = recipe.Model ?? StartingPoint.Load(start, asStored: true, check: false).Config.Model;
            recipe = recipe with { Start = start, Model = model };
        }

        recipe.Validate();
        return written is null ? recipe : SwappedLosses.Drop(recipe, () => RecipeJson.Read<Recipe>(written).Model, note);
    }

    /// <summary>Loads the assemblies that a recipe names, before it is read: it may name their parts. It has their full paths then. What
    /// else stands there is for the reader to refuse.</summary>
    private static void LoadParts(JsonObject json, string folder)
    {
        if (json[PartsKey] is not JsonArray files) return;
        for (var index = 0; index < files.Count; index++)
        {
            if (files[index] is JsonValue file && file.TryGetValue(out string? path))
                files[index] = PartAssembly.Load(path, folder, $"{PartsKey}[{index}]");
        }
    }

    /// <summary>The recipe as JSON, with every default written out.</summary>
    public string ToJson() => RecipeJson.Write(this);

    /// <summary>Throws for what can be found wrong without data or model.</summary>
    /// <exception cref="RecipeException">Something is not allowed.</exception>
    public void Validate()
    {
        if (Name.Length == 0 || Name.AsSpan().IndexOfAny(Path.GetInvalidFileNameChars()) >= 0 || Name is "." or "..")
            throw new RecipeException("name", $"is '{Name}'; allowed: a text that can name a folder");
        if (Model is null) throw new RecipeException("model", "is missing; expected an object { … }, or a start that has one");
        if (Lora is not null && Start is null)
            throw new RecipeException("lora", "needs a start: adapters learn beside a model that stays as it is");
        if (Start is not null && Tokenizer.File is not null)
            throw new RecipeException("tokenizer.file", "is given with a start, which has a tokenizer of its own; allowed: one of them");
        if (Phases.Count == 0) throw new RecipeException("phases", "is empty; at least one phase is needed");
        for (var i = 0; i < Phases.Count; i++)
        {
            Phases[i].Validate($"phases[{i}]");
            Validate(Phases[i].Data, $"phases[{i}].");
        }

        Optimizer.Validate("optimizer");
        Tokenizer.Validate();
        if (Start is null && Tokenizer.File is null) RequireRoom(SpecialTexts.Count);
        Batches.Validate();
        Validation.Validate();
        Checkpoints.Validate();
        Validate(Data, "");
    }

    /// <summary>The JSON schema of recipes, so that editors complete and check them.</summary>
    /// <param name="describe">What a record is, or one of its options by its name in code; empty where nothing is known.</param>
    public static JsonNode Schema(Func<Type, string?, string>? describe = null)
    {
        var schema = RecipeJson.Schema<Recipe>(describe);
        var phase = schema["properties"]!["phases"]!["items"]!["properties"]!;
        foreach (var key in (string[])["length", "sourceLength"])
        {
            var length = LengthSchedule.Schema();
            if ((phase[key] as JsonObject)?["description"]?.DeepClone() is { } description) length["description"] = description;
            phase[key] = length;
        }

        return schema;
    }

    private void RequireRoom(int specialTokens)
    {
        var least = TokenizerOptions.Least + specialTokens - SpecialTokens.Texts.Count;
        if (Tokenizer.Vocabulary >= least) return;
        throw new RecipeException(
            "tokenizer.vocabulary", $"is {Tokenizer.Vocabulary}; allowed: at least {least}, the bytes and {specialTokens} special tokens");
    }

    private static void Validate(CorpusOptions? data, string before)
    {
        try
        {
            data?.Validate();
        }
        catch (ArgumentException error)
        {
            throw new RecipeException(before + error.Message, error); // begins with the key already
        }
    }
}
