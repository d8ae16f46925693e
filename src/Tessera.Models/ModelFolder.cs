using System.Security.Cryptography;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn;
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

    /// <summary>The SHA-256 of <c>model.safetensors</c>, to notice damage; not checked where null.</summary>
    public string? WeightsHash { get; init; }
}

/// <summary>A model as a folder: <c>config.json</c>, <c>tokenizer.json</c> and <c>model.safetensors</c>.</summary>
/// <param name="Config">What it is made of.</param>
/// <param name="Tokenizer">Turns texts into its tokens.</param>
/// <param name="Model">The model with its weights.</param>
public sealed record ModelFolder(ModelConfig Config, Tokenizer Tokenizer, SequenceModel Model)
{
    /// <summary>The name of the file with the options.</summary>
    public const string ConfigFile = "config.json";

    /// <summary>The name of the file with the tokenizer.</summary>
    public const string TokenizerFile = "tokenizer.json";

    /// <summary>The name of the file with the weights.</summary>
    public const string WeightsFile = "model.safetensors";

    /// <summary>Loads a model.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder holds no finished model.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or they do not belong together.</exception>
    public static ModelFolder Load(string folder)
    {
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"there is no model folder '{folder}'");
        foreach (var file in new[] { ConfigFile, TokenizerFile, WeightsFile })
        {
            if (!File.Exists(Path.Combine(folder, file)))
                throw new FileNotFoundException($"'{folder}' holds no finished model: there is no {file}", Path.Combine(folder, file));
        }

        var path = Path.Combine(folder, ConfigFile);
        var tokenizer = Tokenizer.Load(Path.Combine(folder, TokenizerFile));
        try
        {
            var config = RecipeJson.ReadFile<ModelConfig>(path);
            if (config.Vocabulary != tokenizer.VocabularySize)
                throw new InvalidDataException($"{path}: vocabulary is {config.Vocabulary}, but {TokenizerFile} has {tokenizer.VocabularySize} tokens");
            var model = config.Model.Build(config.Vocabulary, seed: 0);
            var weights = Path.Combine(folder, WeightsFile);
            Weights.Load(model, SafetensorsFile.Open(weights), TensorNames.Identity(model)); // its own errors say more than that the hash differs
            if (config.WeightsHash is { } expected && Hash(weights) is var found && found != expected)
                throw new InvalidDataException($"{weights}: has been changed: expected SHA-256 {expected}, found {found}");
            return new ModelFolder(config, tokenizer, model);
        }
        catch (RecipeException error)
        {
            throw new InvalidDataException(error.Path.StartsWith(path, StringComparison.Ordinal) ? error.Message : $"{path}: {error.Message}", error);
        }
    }

    /// <summary>The SHA-256 of a file, in lower-case hexadecimal digits.</summary>
    public static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
