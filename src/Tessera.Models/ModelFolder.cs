using System.Security.Cryptography;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
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

    /// <summary>The SHA-256 of <c>model.safetensors</c>, to notice damage when it is loaded; not checked where null.</summary>
    public string? WeightsHash { get; init; }
}

/// <summary>A model as a folder, one of ours or one of Hugging Face's: <c>config.json</c>, <c>tokenizer.json</c> and
/// <c>model.safetensors</c>, there also <c>tokenizer.model</c>, several files of weights, or no tokenizer. <see cref="ModelFolders"/> load
/// and save it.</summary>
public sealed record ModelFolder
{
    /// <summary>The name of the file with the options.</summary>
    public const string ConfigFile = HuggingFaceConfig.File;

    /// <summary>The name of the file with the tokenizer.</summary>
    public const string TokenizerFile = HuggingFaceText.TokenizerFile;

    /// <summary>The name of the file with the weights.</summary>
    public const string WeightsFile = "model.safetensors";

    private readonly Tokenizer? _tokenizer;

    /// <summary>A model that was made or loaded elsewhere.</summary>
    /// <param name="config">What it is made of.</param>
    /// <param name="tokenizer">Turns texts into its tokens; null where it has none.</param>
    /// <param name="model">The model with its weights.</param>
    public ModelFolder(ModelConfig config, Tokenizer? tokenizer, SequenceModel model) =>
        (Config, _tokenizer, Model) = (config, tokenizer, model);

    /// <summary>What the model is made of.</summary>
    public ModelConfig Config { get; init; }

    /// <summary>The model with its weights.</summary>
    public SequenceModel Model { get; init; }

    /// <summary>Whether there is a tokenizer.</summary>
    public bool HasTokenizer => _tokenizer is not null;

    /// <summary>Turns texts into the model's tokens.</summary>
    /// <exception cref="InvalidDataException">The folder has none.</exception>
    public Tokenizer Tokenizer => _tokenizer
        ?? throw new InvalidDataException($"the model has no tokenizer: its folder has neither {TokenizerFile} nor tokenizer.model");

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
    public TensorNames Names => Family?.Names(Config.Model) ?? TensorNames.Identity(Model);

    /// <summary>Where the model came from: a folder or a file; null where it was made here.</summary>
    public string? Origin => Path ?? Source?.Path;

    /// <summary>The tables by which adapters may call the model's weights, the one to write by first: as the family of its checkpoint does,
    /// or the one that a checkpoint of it would be of, and as we do.</summary>
    internal IReadOnlyList<TensorNames> AdapterNames
    {
        get
        {
            if (Family is not null) return [Names];
            return Family.Simplest(Config.Model) is { } family ? [family.Names(Config.Model), Names] : [Names];
        }
    }

    /// <summary>The table to write adapters by: the first by which PEFT could name them all.</summary>
    /// <param name="adapters">Of this model.</param>
    public TensorNames NamesOf(LoraAdapters adapters) =>
        AdapterNames.FirstOrDefault(names => PeftAdapter.CanName(adapters, names)) ?? AdapterNames[^1];

    /// <summary>The tokens that hold one of some texts, such as a line break.</summary>
    /// <param name="texts">None empty.</param>
    /// <exception cref="ArgumentException">One is empty.</exception>
    public IReadOnlyList<int> TokensContaining(params IReadOnlyList<string> texts)
    {
        if (texts.Contains("")) throw new ArgumentException("a text that tokens are to hold is empty", nameof(texts));
        var tokens = Enumerable.Range(0, Math.Min(Tokenizer.VocabularySize, Model.Vocabulary));
        return [.. tokens.Where(token => Holds(Tokenizer.Decode([token])))];

        bool Holds(string token) => texts.Any(text => token.Contains(text, StringComparison.Ordinal));
    }

    /// <summary>Closes the files that the weights are read from; the model is not to be used after it.</summary>
    public void Close()
    {
        Model.Close();
        Source?.Dispose();
    }

    /// <summary>The SHA-256 of a file, in lower-case hexadecimal digits.</summary>
    public static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
