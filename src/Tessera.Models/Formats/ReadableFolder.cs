namespace Tessera.Models.Formats;

/// <summary>What can be said of a folder in which something was not found: that it may not be read, or what is there instead.</summary>
internal static class ReadableFolder
{
    // Weights in formats of other programs, which can run code or need them.
    private static readonly string[] s_foreign = [".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".npz"];

    /// <summary>Throws unless the names in a folder, and what is behind them, may be read: to whom it may not be, files seem not to be
    /// there.</summary>
    /// <exception cref="UnauthorizedAccessException">It may not be.</exception>
    public static void Require(string folder)
    {
        try
        {
            foreach (var entry in Directory.EnumerateFileSystemEntries(folder)) _ = File.GetAttributes(entry);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new UnauthorizedAccessException($"'{folder}' may not be read: permission denied", error);
        }
        catch (IOException)
        {
            // A link to nothing or to itself, which says nothing about the folder.
        }
    }

    /// <summary>What to do with the weights that a folder has in another program's format, for the end of a message; nothing where it has
    /// none.</summary>
    public static string OtherWeights(string folder)
    {
        var found = Directory.EnumerateFiles(folder).Where(IsForeign).Select(file => Path.GetFileName(file))
            .Order(StringComparer.Ordinal).FirstOrDefault();
        if (found is null) return "";
        return $"; {found} is of another format: save the model as safetensors (save_pretrained(folder, safe_serialization=True))";

        static bool IsForeign(string file) =>
            s_foreign.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase)
            && !Path.GetFileName(file).StartsWith("training_args", StringComparison.Ordinal);
    }

    /// <summary>The GGUF files of a folder that is no model itself, for the end of a message; nothing where it has none.</summary>
    public static string OtherModels(string folder)
    {
        string[] files =
            [.. Directory.EnumerateFiles(folder, "*.gguf").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
        if (files.Length > 0) return $"; it has GGUF files, of which one is to be named: {NameList.Of(files)}";
        var folders = Directory.EnumerateDirectories(folder)
            .Where(inner => File.Exists(Path.Combine(inner, HuggingFace.HuggingFaceConfig.File)));
        return folders.Order(StringComparer.Ordinal).FirstOrDefault() is { } model ? $"; there is one in '{model}'" : OtherWeights(folder);
    }
}
