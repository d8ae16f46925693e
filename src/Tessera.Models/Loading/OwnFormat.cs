using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>A folder as runs leave it: <c>config.json</c> with the parts of the model, <c>tokenizer.json</c>,
/// <c>model.safetensors</c>.</summary>
internal sealed class OwnFormat : ModelFormat
{
    /// <inheritdoc/>
    public override bool IsAt(string path)
    {
        var file = Path.Combine(path, ModelFolder.ConfigFile);
        return File.Exists(file) && HuggingFaceConfig.Load(file) is { ModelType: null } config && config.Names("model");
    }

    /// <inheritdoc/>
    public override ModelFolder Load(string path, bool asStored, bool check)
    {
        var (tokenizerFile, weights) = (Existing(path, ModelFolder.TokenizerFile), Existing(path, ModelFolder.WeightsFile));
        var (tokenizer, configFile) = (Tokenizer.Load(tokenizerFile), Path.Combine(path, ModelFolder.ConfigFile));
        var config = RecipeJson.ReadFile<ModelConfig>(configFile);
        if (config.Vocabulary != tokenizer.VocabularySize)
        {
            throw new InvalidDataException(
                $"{configFile}: vocabulary is {config.Vocabulary}, but {ModelFolder.TokenizerFile} has {tokenizer.VocabularySize} tokens");
        }

        var model = config.Model.Build(config.Vocabulary, seed: 0);
        var source = SafetensorsFile.Open(weights);
        try
        {
            Weights.Load(model, source, TensorNames.Identity(model), asStored); // its own errors say more than that the hash differs
            if (check && config.WeightsHash is { } expected && ModelFolder.Hash(weights) is var found && found != expected)
                throw new InvalidDataException($"{weights}: has been changed: expected SHA-256 {expected}, found {found}");
            return new ModelFolder(config, tokenizer, model) { Path = path, Source = source };
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    private static string Existing(string folder, string file)
    {
        var path = Path.Combine(folder, file);
        return File.Exists(path) ? path : throw new FileNotFoundException($"'{folder}' holds no finished model: there is no {file}", path);
    }
}
