using System.Security.Cryptography;
using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>What <c>config.json</c> of a model folder says.</summary>
public sealed record ModelConfig
{
    /// <summary>The parts of the model.</summary>
    public required ModelOptions Model { get; init; }

    /// <summary>How many tokens it knows.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The longest target it was trained on, in tokens.</summary>
    public required int Length { get; init; }

    /// <summary>The longest source it was trained on, in tokens.</summary>
    public required int SourceLength { get; init; }

    /// <summary>The SHA-256 of <c>model.safetensors</c>, to notice damage (<see cref="ModelFolder.Load"/>); not checked where null.</summary>
    public string? WeightsHash { get; init; }
}

/// <summary>A model as a folder, one of ours or one of Hugging Face's: <c>config.json</c>, <c>tokenizer.json</c> and
/// <c>model.safetensors</c>, there also <c>tokenizer.model</c>, several files of weights, or no tokenizer.</summary>
public sealed record ModelFolder
{
    /// <summary>The name of the file with the options.</summary>
    public const string ConfigFile = HuggingFaceConfig.File;

    /// <summary>The name of the file with the tokenizer.</summary>
    public const string TokenizerFile = "tokenizer.json";

    /// <summary>The name of the file with the weights.</summary>
    public const string WeightsFile = "model.safetensors";

    private readonly Tokenizer? _tokenizer;

    /// <summary>A model that was made or loaded elsewhere.</summary>
    /// <param name="config">What it is made of.</param>
    /// <param name="tokenizer">Turns texts into its tokens; null where it has none.</param>
    /// <param name="model">The model with its weights.</param>
    public ModelFolder(ModelConfig config, Tokenizer? tokenizer, SequenceModel model) => (Config, _tokenizer, Model) = (config, tokenizer, model);

    /// <summary>What the model is made of.</summary>
    public ModelConfig Config { get; init; }

    /// <summary>The model with its weights.</summary>
    public SequenceModel Model { get; init; }

    /// <summary>Whether there is a tokenizer.</summary>
    public bool HasTokenizer => _tokenizer is not null;

    /// <summary>Turns texts into the model's tokens.</summary>
    /// <exception cref="InvalidDataException">The folder has none.</exception>
    public Tokenizer Tokenizer => _tokenizer ?? throw new InvalidDataException($"the model has no tokenizer: its folder has neither {TokenizerFile} nor tokenizer.model");

    /// <summary>How the model is prompted.</summary>
    public PromptFormat PromptFormat { get; init; } = PromptFormat.Own;

    /// <summary>The family whose checkpoint this is; null where it is one of ours.</summary>
    public Family? Family { get; init; }

    /// <summary>Where the model was loaded from; null where it was made here.</summary>
    public string? Path { get; init; }

    /// <summary>Where the weights are read from when they are touched; null where the model was made here.</summary>
    internal TensorSource? Source { get; init; }

    /// <summary>The adapters that act in the model; null where the folder holds none.</summary>
    public LoraAdapters? Adapters { get; init; }

    /// <summary>The table between the model's names and those of its checkpoint.</summary>
    public TensorNames Names => Family is not null && Config.Model is DecoderOptions options ? Family.Names(options) : TensorNames.Identity(Model);

    /// <summary>Loads a model, or adapters as PEFT saves them with the model they were trained on; of its weights the
    /// header is read, the rest when it is touched, or first of all where there is a hash to check.</summary>
    /// <param name="folder">The folder, or a GGUF file.</param>
    /// <param name="asStored">Whether weights stay in the type they are stored in, for models that are only run; else they become F32.</param>
    /// <param name="check">Whether weights that have a <see cref="ModelConfig.WeightsHash"/> are read whole, to see that they are those that were
    /// written; without it opening costs the header of any model.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder holds no finished model.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or they do not belong together.</exception>
    public static ModelFolder Load(string folder, bool asStored = false, bool check = true)
    {
        if (File.Exists(folder))
        {
            return GgufFile.IsGguf(folder)
                ? GgufModel.Load(folder, asStored)
                : throw new InvalidDataException($"{folder}: is not a GGUF file; a model is one, or a folder with {ConfigFile} and weights");
        }

        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"there is no model folder '{folder}'");
        if (PeftAdapter.IsIn(folder)) return LoadAdapted(folder, asStored, check);
        var path = Existing(folder, ConfigFile);
        var config = HuggingFaceConfig.Load(path);
        try
        {
            return config.ModelType is null && config.Names("model") ? LoadOurs(folder, path, asStored, check) : LoadHuggingFace(folder, config, asStored);
        }
        catch (RecipeException error)
        {
            throw new InvalidDataException(error.Path.StartsWith(path, StringComparison.Ordinal) ? error.Message : $"{path}: {error.Message}", error);
        }
    }

    /// <summary>Writes the model with the weights it has now, as F32, to another folder, beside what describes it and copies of the files
    /// about its texts. Adapters are not written (<see cref="LoraAdapters.Merge"/>).</summary>
    /// <param name="folder">The folder; made where it is missing. It appears, or takes the place of the model that is there, when it is whole.</param>
    /// <exception cref="InvalidDataException">The model did not come from a folder.</exception>
    /// <exception cref="RecipeException">The model was given parts that its family cannot say.</exception>
    /// <exception cref="IOException">The folder is the model's own, or a file cannot be written.</exception>
    public void Save(string folder)
    {
        if (Path is null || !Directory.Exists(Path)) throw new InvalidDataException($"the model of '{Path}' does not come from a folder, whose files could be copied");
        if (SamePlace.Is(folder, Path)) throw new IOException($"'{folder}' is the model's own folder; name another");
        if (Family is not null && Config.Model is DecoderOptions decoder) HuggingFaceTarget.Save(this, decoder, folder);
        else WholeFolder.Write(folder, SaveOurs);
    }

    private void SaveOurs(string folder)
    {
        var weights = System.IO.Path.Combine(folder, WeightsFile);
        Weights.Save(weights, Model, Names);
        WholeFolder.CopyTexts(Path!, folder);
        File.WriteAllText(System.IO.Path.Combine(folder, ConfigFile), RecipeJson.Write(Config with { WeightsHash = Hash(weights) }) + "\n");
    }

    /// <summary>The SHA-256 of a file, in lower-case hexadecimal digits.</summary>
    public static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static ModelFolder LoadAdapted(string folder, bool asStored, bool check)
    {
        var path = PeftAdapter.BaseOf(folder);
        if (PeftAdapter.IsIn(path)) throw new InvalidDataException($"'{folder}': the base model, '{path}', is an adapter itself; allowed: a whole model");
        var whole = Load(path, asStored, check);
        return whole with { Adapters = PeftAdapter.Load(folder, whole.Model, whole.Names) };
    }

    private static ModelFolder LoadOurs(string folder, string path, bool asStored, bool check)
    {
        var (tokenizerFile, weights) = (Existing(folder, TokenizerFile), Existing(folder, WeightsFile));
        var tokenizer = Tokenizer.Load(tokenizerFile);
        var config = RecipeJson.ReadFile<ModelConfig>(path);
        if (config.Vocabulary != tokenizer.VocabularySize)
            throw new InvalidDataException($"{path}: vocabulary is {config.Vocabulary}, but {TokenizerFile} has {tokenizer.VocabularySize} tokens");
        var model = config.Model.Build(config.Vocabulary, seed: 0);
        var source = SafetensorsFile.Open(weights);
        try
        {
            Weights.Load(model, source, TensorNames.Identity(model), asStored); // its own errors say more than that the hash differs
            if (check && config.WeightsHash is { } expected && Hash(weights) is var found && found != expected)
                throw new InvalidDataException($"{weights}: has been changed: expected SHA-256 {expected}, found {found}");
            return new ModelFolder(config, tokenizer, model) { Path = folder, Source = source };
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    private static ModelFolder LoadHuggingFace(string folder, HuggingFaceConfig config, bool asStored)
    {
        var family = Family.Of(config);
        var weights = TensorSource.Open(folder);
        try
        {
            return LoadHuggingFace(folder, config, family, weights, asStored);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ModelFolder LoadHuggingFace(string folder, HuggingFaceConfig config, Family family, TensorSource weights, bool asStored)
    {
        var options = family.Present(family.ReadConfig(config), weights);
        var vocabulary = config.Whole("vocab_size");
        var model = options.Build(vocabulary, seed: 0);
        Weights.Load(model, weights, family.Names(options), asStored);
        var tokenizer = HuggingFaceText.Tokenizer(folder);
        return new ModelFolder(new ModelConfig { Model = options, Vocabulary = vocabulary, Length = model.LongestSequence, SourceLength = 0 }, tokenizer, model)
        {
            Path = folder, Family = family, Source = weights, PromptFormat = HuggingFaceText.PromptFormat(folder, config, tokenizer),
        };
    }

    private static string Existing(string folder, string file)
    {
        var path = System.IO.Path.Combine(folder, file);
        return File.Exists(path) ? path : throw new FileNotFoundException($"'{folder}' holds no finished model: there is no {file}", path);
    }
}
