using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn;

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
        var toFile = target.EndsWith(GgufEnding, StringComparison.OrdinalIgnoreCase);
        RequireFree(target, toFile, options.Overwrite);
        try
        {
            using var from = ConversionSource.Open(source);
            if (from.Tensors is GgufFile split && split.Files.FirstOrDefault(file => SamePlace.Is(file, target)) is { } part)
                throw new ArgumentException($"target '{target}' is a part of the source, '{part}'");
            return toFile
                ? GgufTarget.Write(from, target, options, cancellation)
                : HuggingFaceTarget.Write(from, target, options, cancellation);
        }
        catch (RecipeException error)
        {
            throw new ArgumentException(error.Message, error);
        }
    }

    /// <summary>Writes the weights that a model has now in the format that it came from: as a model of its family where it has one, else as
    /// one of ours.</summary>
    /// <exception cref="InvalidDataException">The model did not come from a folder.</exception>
    /// <exception cref="RecipeException">The model was given parts that its family cannot say.</exception>
    /// <exception cref="IOException">The folder is the model's own, or a file cannot be written.</exception>
    internal static void Save(ModelFolder model, string folder)
    {
        if (model.Path is null || !Directory.Exists(model.Path))
            throw new InvalidDataException($"the model of '{model.Path}' does not come from a folder, whose files could be copied");
        if (SamePlace.Is(folder, model.Path)) throw new IOException($"'{folder}' is the model's own folder; name another");
        if (model.Family is not null) HuggingFaceTarget.Save(model, folder);
        else OwnTarget.Save(model, folder);
    }

    private static void RequireFree(string target, bool toFile, bool overwrite)
    {
        if (toFile && Directory.Exists(target)) throw new IOException($"'{target}' is a folder; a GGUF file cannot have its name");
        if (!toFile && File.Exists(target))
            throw new IOException($"'{target}' is a file; a folder cannot have its name. Names of GGUF files end in {GgufEnding}");
        var isThere = toFile ? File.Exists(target) : Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any();
        if (isThere && !overwrite) throw new TargetExistsException(target);
    }
}
