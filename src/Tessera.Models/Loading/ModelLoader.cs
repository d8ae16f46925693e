using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Text.Files;

namespace Tessera.Models;

/// <summary>Finds out of what format a model is and loads it; adapters with the model they were trained on.</summary>
internal static class ModelLoader
{
    // The first that fits counts: a folder of ours, too, has a config.json.
    private static readonly ModelFormat[] s_formats = [new GgufFormat(), new OwnFormat(), new HuggingFaceFormat()];

    /// <summary>As <see cref="ModelFolders"/> say.</summary>
    public static ModelFolder Load(string path, bool asStored, bool check)
    {
        var folder = PeftAdapter.IsIn(path) ? LoadAdapted(path, asStored, check) : LoadWhole(path, asStored, check);
        return Directory.Exists(path) ? PromptFiles.Read(path, folder) : folder;
    }

    private static ModelFolder LoadWhole(string path, bool asStored, bool check)
    {
        var format = s_formats.FirstOrDefault(format => format.IsAt(path)) ?? throw NoModel(path);
        try
        {
            return format.Load(path, asStored, check);
        }
        catch (RecipeException error) when (Directory.Exists(path))
        {
            var config = Path.Combine(path, ModelFolder.ConfigFile);
            var isSaid = error.Path.StartsWith(config, StringComparison.Ordinal);
            throw new InvalidDataException(isSaid ? error.Message : $"{config}: {error.Message}", error);
        }
    }

    private static ModelFolder LoadAdapted(string folder, bool asStored, bool check)
    {
        var path = PeftAdapter.BaseOf(folder);
        if (PeftAdapter.IsIn(path))
            throw new InvalidDataException($"'{folder}': the base model, '{path}', is an adapter itself; allowed: a whole model");
        var whole = Load(path, asStored, check);
        return Adapt(whole, folder);
    }

    /// <summary>As <see cref="ModelFolders"/> say.</summary>
    public static ModelFolder Adapt(ModelFolder model, string folder)
    {
        if (model.Adapters is not null)
            throw new InvalidDataException($"'{folder}': the model has adapters already; merge them first, or name the base model");
        if (!PeftAdapter.IsIn(folder))
            throw new FileNotFoundException($"'{folder}' holds no adapter: there is no {PeftAdapter.ConfigFile}", folder);
        var adapted = model with { Adapters = PeftAdapter.Load(folder, model.Model, model.AdapterNames) };
        return PromptFiles.Read(folder, adapted); // what they learned of prompts counts, not what the model did
    }

    private static Exception NoModel(string path)
    {
        const string Config = ModelFolder.ConfigFile;
        if (File.Exists(path))
        {
            FileKinds.Require(path, FileKind.Gguf, $"a model, which is a GGUF file or a folder with {Config} and weights");
            return new InvalidDataException($"{path}: is not a GGUF file; a model is one, or a folder with {Config} and weights");
        }

        if (!Directory.Exists(path)) return new DirectoryNotFoundException($"there is no model folder '{path}'");
        ReadableFolder.Require(path);
        return new FileNotFoundException(
            $"'{path}' holds no finished model: there is no {Config}{ReadableFolder.OtherModels(path)}", Path.Combine(path, Config));
    }
}
