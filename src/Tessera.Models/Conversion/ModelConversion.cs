using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Conversion;

/// <summary>
/// Writes a model in another format: from a folder of ours, a Hugging Face folder or a GGUF file to a GGUF file or a Hugging Face
/// folder. Tensors are read and written one after the other, so that a model may be larger than memory.
/// </summary>
public static class ModelConversion
{
    private const string GgufEnding = ".gguf";

    /// <summary>Converts a model.</summary>
    /// <param name="source">The folder or file.</param>
    /// <param name="target">A file whose name ends in <c>.gguf</c>, or a folder. It appears under its name when it is whole.</param>
    /// <param name="options">How to write.</param>
    /// <param name="cancellation">Stops it; nothing is left then of what was written.</param>
    /// <exception cref="TargetExistsException">The target is there and is not to be overwritten.</exception>
    /// <exception cref="IOException">The source is not there, or the target cannot be written.</exception>
    /// <exception cref="InvalidDataException">The source is damaged or not supported.</exception>
    /// <exception cref="ArgumentException">The target's format cannot say the model, or source and target are the same; the message says
    /// why.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ConversionResult Convert(
        string source, string target, ConversionOptions options, CancellationToken cancellation = default)
    {
        if (SamePlace.Is(source, target)) throw new ArgumentException($"source '{source}' and target '{target}' are the same");
        var toFile = IsFile(target);
        RequireFree(target, toFile, options.Overwrite);
        try
        {
            using var from = ConversionSource.Open(source);
            if (from.Tensors is GgufFile split && split.Files.FirstOrDefault(file => SamePlace.Is(file, target)) is { } part)
                throw new ArgumentException($"target '{target}' is a part of the source, '{part}'");
            return toFile
                ? GgufTarget.Write(from.Folder, NameOf(source), (from.Tensors, from.Names), target, options, cancellation)
                : HuggingFaceTarget.Write(from.Folder, (from.Tensors, from.Names), target, options, cancellation);
        }
        catch (RecipeException error)
        {
            throw new ArgumentException(error.Message, error);
        }
    }

    /// <summary>Writes the weights that a model has now: to a GGUF file where the target's name is one, else in the format that it came
    /// from: as a model of its family where it has one, a family's that can say it where it came from a GGUF file, else as one of
    /// ours.</summary>
    internal static ConversionResult Save(ModelFolder model, string target, ElementType type)
    {
        var origin = model.Origin
            ?? throw new InvalidDataException("the model does not come from a folder or file, whose texts could be copied");
        if (SamePlace.Is(target, origin))
            throw new IOException($"'{target}' is the model's own {(Directory.Exists(origin) ? "folder" : "file")}; name another");
        var options = new ConversionOptions { Type = type, Overwrite = true };
        RequireFree(target, IsFile(target), options.Overwrite);
        if (IsFile(target)) return GgufTarget.Write(model, NameOf(origin), weights: null, target, options, CancellationToken.None);
        return model.Family is null && model.Path is not null
            ? OwnTarget.Save(model, target, type)
            : HuggingFaceTarget.Write(model, weights: null, target, options, CancellationToken.None);
    }

    /// <summary>What people call a model that lies at a path.</summary>
    internal static string NameOf(string path) =>
        Directory.Exists(path) ? new DirectoryInfo(path).Name : Path.GetFileNameWithoutExtension(path);

    private static bool IsFile(string target) => target.EndsWith(GgufEnding, StringComparison.OrdinalIgnoreCase);

    private static void RequireFree(string target, bool toFile, bool overwrite)
    {
        if (toFile && Directory.Exists(target)) throw new IOException($"'{target}' is a folder; a GGUF file cannot have its name");
        if (!toFile && File.Exists(target))
            throw new IOException($"'{target}' is a file; a folder cannot have its name. Names of GGUF files end in {GgufEnding}");
        var isThere = toFile ? File.Exists(target) : Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any();
        if (isThere && !overwrite) throw new TargetExistsException(target);
    }
}
