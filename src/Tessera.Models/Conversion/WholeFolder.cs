using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Conversion;

/// <summary>Writes the folder of a model, which appears, or takes the place of the model that is there, only when all its files are
/// whole.</summary>
internal static class WholeFolder
{
    /// <summary>The files about texts that may stand in a folder of Hugging Face's beside its weights.</summary>
    public static IReadOnlyList<string> TextFiles { get; } =
    [
        ModelFolder.TokenizerFile, "tokenizer_config.json", "generation_config.json", "tokenizer.model", "special_tokens_map.json",
        "added_tokens.json",
        PromptFiles.TemplateFile, PromptFiles.PairsFile, "vocab.json", "merges.txt",
    ];

    /// <summary>Fills a folder beside the target and moves it there.</summary>
    /// <param name="target">The folder. Of what it holds, files of the same names, other weights and <see cref="TextFiles"/> are
    /// replaced.</param>
    /// <param name="fill">Is given the folder to write to. Where it fails, nothing is left of what it wrote.</param>
    /// <exception cref="IOException">A file cannot be written, or a finished one cannot be moved: then the message says where the new
    /// model is.</exception>
    public static void Write(string target, Action<string> fill)
    {
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        var unfinished = $"{target}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(unfinished);
        try
        {
            fill(unfinished);
        }
        catch
        {
            Directory.Delete(unfinished, recursive: true);
            throw;
        }

        try
        {
            if (Directory.Exists(target)) MoveInto(unfinished, target);
            else Directory.Move(unfinished, target);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"'{target}' could not be replaced by the new model, whose remaining files are in '{unfinished}': {failure.Message}",
                failure);
        }
    }

    /// <summary>Copies the files about texts that a folder has.</summary>
    public static void CopyTexts(string source, string target)
    {
        foreach (var file in TextFiles.Where(file => File.Exists(Path.Combine(source, file))))
            File.Copy(Path.Combine(source, file), Path.Combine(target, file));
    }

    /// <summary>Files are replaced one by one, the configuration last; only then what only the former model had is removed.</summary>
    private static void MoveInto(string finished, string target)
    {
        var files = Directory.GetFiles(finished).Select(file => Path.GetFileName(file));
        var names = files.OrderBy(name => name == HuggingFaceConfig.File).ToList();
        foreach (var name in names) File.Move(Path.Combine(finished, name), Path.Combine(target, name), overwrite: true);
        Directory.Delete(finished);
        SafetensorsFolder.RemoveOthers(target, names);
        foreach (var stale in TextFiles.Except(names)) File.Delete(Path.Combine(target, stale));
    }
}
