using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;

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
        return whole with { Adapters = PeftAdapter.Load(folder, whole.Model, whole.Names) };
    }

    private static Exception NoModel(string path)
    {
        const string Config = ModelFolder.ConfigFile;
        if (File.Exists(path))
            return new InvalidDataException($"{path}: is not a GGUF file; a model is one, or a folder with {Config} and weights");
        return Directory.Exists(path)
            ? new FileNotFoundException($"'{path}' holds no finished model: there is no {Config}", Path.Combine(path, Config))
            : new DirectoryNotFoundException($"there is no model folder '{path}'");
    }
}
