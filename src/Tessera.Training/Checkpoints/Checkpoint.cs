using System.Security.Cryptography;
using System.Text.Json;
using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Checkpoints;

/// <summary>A whole checkpoint: a folder whose files have the sizes and SHA-256 hashes that its <c>hashes.json</c> records.</summary>
internal sealed class Checkpoint
{
    private readonly IReadOnlyDictionary<string, CheckpointFormat.FileRecord> _files;

    private Checkpoint(
        string folder, IReadOnlyDictionary<string, CheckpointFormat.FileRecord> files, CheckpointFormat.SummaryRecord summary)
    {
        (Folder, _files, Step, Score) = (folder, files, summary.Step, summary.Score);
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>The step it was made after.</summary>
    public long Step { get; }

    /// <summary>How good the model is, lower is better; null where it is not known.</summary>
    public double? Score { get; }

    /// <summary>The names of its files.</summary>
    public IEnumerable<string> Files => _files.Keys;

    /// <summary>Opens a checkpoint and checks all of its files.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">A file is missing, cut short or changed: the message names it and says which size or
    /// hash was expected and found.</exception>
    public static Checkpoint Load(string folder)
    {
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"there is no checkpoint {folder}");
        var files = ReadHashes(folder);
        foreach (var (name, record) in files) Verify(Path.Combine(folder, name), record);
        return new Checkpoint(folder, files, Read<CheckpointFormat.SummaryRecord>(folder, CheckpointFormat.Summary));
    }

    /// <summary>The path of one of the files.</summary>
    /// <exception cref="InvalidDataException">The checkpoint has no such file.</exception>
    public string File(string name) => _files.ContainsKey(name)
        ? Path.Combine(Folder, name)
        : throw new InvalidDataException($"{Folder}: the checkpoint has no file '{name}'; it has: {string.Join(", ", _files.Keys)}");

    /// <summary>Sets the parameters of a model to those saved.</summary>
    /// <exception cref="InvalidDataException">Names or shapes differ; the model is as it was.</exception>
    public void Restore(Module model)
    {
        using var file = SafetensorsFile.Open(File(CheckpointFormat.Model));
        Weights.Load(file, model);
    }

    /// <summary>Sets what optimizers remember to what was saved.</summary>
    /// <param name="state">That of one (<see cref="Optimizer.State"/>), or of several together.</param>
    /// <exception cref="InvalidDataException">Names or shapes differ; nothing is changed.</exception>
    public void Restore(IReadOnlyList<(string Name, Tensor Tensor)> state)
    {
        using var file = SafetensorsFile.Open(File(CheckpointFormat.Optimizer));
        Weights.Load(file, state);
    }

    /// <summary>The state of training as it was given to <see cref="CheckpointWriter.State"/>.</summary>
    /// <exception cref="InvalidDataException">The checkpoint has no state, or it is not such a record.</exception>
    public T State<T>() where T : notnull => Read<T>(Folder, Path.GetFileName(File(CheckpointFormat.State)));

    /// <summary>A checkpoint that this process has just written.</summary>
    internal static Checkpoint Unverified(string folder) =>
        new(folder, ReadHashes(folder), Read<CheckpointFormat.SummaryRecord>(folder, CheckpointFormat.Summary));

    /// <summary>The score of a checkpoint that need not be whole; null where it has none or cannot be read.</summary>
    internal static double? ScoreOf(string folder)
    {
        try
        {
            return Read<CheckpointFormat.SummaryRecord>(folder, CheckpointFormat.Summary).Score;
        }
        catch (Exception failure) when (failure is InvalidDataException or IOException)
        {
            return null;
        }
    }

    private static Dictionary<string, CheckpointFormat.FileRecord> ReadHashes(string folder)
    {
        var files = Read<Dictionary<string, CheckpointFormat.FileRecord>>(folder, CheckpointFormat.Hashes);
        foreach (var (name, record) in files)
        {
            if (!CheckpointFormat.IsFileName(name) || record is null || record.Sha256 is null)
                throw new InvalidDataException(
                    $"{Path.Combine(folder, CheckpointFormat.Hashes)}: '{name}' is not a file name with bytes and sha256");
        }

        return files.ContainsKey(CheckpointFormat.Summary)
            ? files
            : throw new InvalidDataException($"{Path.Combine(folder, CheckpointFormat.Hashes)}: does not list {CheckpointFormat.Summary}");
    }

    private static void Verify(string path, CheckpointFormat.FileRecord record)
    {
        if (!System.IO.File.Exists(path)) throw new InvalidDataException($"{path}: is missing");
        using var stream = new FileStream(
            path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 18, FileOptions.SequentialScan);
        if (stream.Length != record.Bytes)
        {
            var what = stream.Length < record.Bytes ? "is cut short" : "is too long";
            throw new InvalidDataException($"{path}: {what}: expected {record.Bytes} bytes, found {stream.Length}");
        }

        var found = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (found != record.Sha256)
            throw new InvalidDataException($"{path}: has been changed: expected SHA-256 {record.Sha256}, found {found}");
    }

    private static T Read<T>(string folder, string name) where T : notnull
    {
        var path = Path.Combine(folder, name);
        try
        {
            using var stream = System.IO.File.OpenRead(path);
            return JsonSerializer.Deserialize<T>(stream, CheckpointFormat.Json) ?? throw new InvalidDataException($"{path}: is null");
        }
        catch (FileNotFoundException failure)
        {
            throw new InvalidDataException($"{path}: is missing", failure);
        }
        catch (JsonException failure)
        {
            throw new InvalidDataException($"{path}: cannot be read: {failure.Message}", failure);
        }
    }
}
