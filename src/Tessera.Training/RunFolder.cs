using Tessera.Models;
using Tessera.Training.Checkpoints;

namespace Tessera.Training;

/// <summary>A checkpoint of a run.</summary>
/// <param name="Step">The step it was made after.</param>
/// <param name="Path">Its folder.</param>
/// <param name="Loss">Its validation loss in nats a token, where it had the lowest one when it was made; else null.</param>
public sealed record RunCheckpoint(long Step, string Path, double? Loss);

/// <summary>The files of a run: its recipe, tokenizer, checkpoints, measurements, and at last the finished model, which
/// <c>ModelFolder.Load</c> reads.</summary>
/// <param name="Path">The folder.</param>
public sealed record RunFolder(string Path)
{
    /// <summary>The recipe with every default written out.</summary>
    public string Recipe => In("recipe.json");

    /// <summary>The folder that the recipe's relative paths start from, on one line.</summary>
    public string Origin => In("origin.txt");

    /// <summary>The tokenizer.</summary>
    public string Tokenizer => In(ModelFolder.TokenizerFile);

    /// <summary>Losses and speeds, a JSON object a line.</summary>
    public string Metrics => In("metrics.jsonl");

    /// <summary>With which kernels, threads and precision each stretch was computed.</summary>
    public string Machine => In("machine.json");

    /// <summary>How the run stands: <see cref="RunRecord"/>.</summary>
    public string Record => In("run.json");

    /// <summary>The folder of checkpoints.</summary>
    public string Checkpoints => In("checkpoints");

    /// <summary>The finished weights.</summary>
    public string Weights => In(ModelFolder.WeightsFile);

    /// <summary>The options of the finished model.</summary>
    public string Config => In(ModelFolder.ConfigFile);

    /// <summary>Whether a run has begun here.</summary>
    public bool HasRun => File.Exists(Recipe);

    /// <summary>The checkpoints that there are, the oldest first; that they are whole is not checked.</summary>
    public IReadOnlyList<RunCheckpoint> SavedCheckpoints() => new CheckpointStore(Checkpoints).All();

    /// <summary>A file of the run.</summary>
    public string In(string file) => System.IO.Path.Combine(Path, file);

    /// <summary>Keeps the folder for one process; makes it where it is missing.</summary>
    /// <returns>To be disposed when the process is done with the folder.</returns>
    /// <exception cref="IOException">Another process trains in it, or it holds somebody's files that are no run's.</exception>
    internal IDisposable Hold()
    {
        const string Lock = ".lock";
        string[] own =
        [
            Lock, "recipe.json", "origin.txt", ModelFolder.TokenizerFile, "metrics.jsonl", "machine.json", "run.json", "checkpoints",
            PromptFiles.PairsFile, PromptFiles.TemplateFile,
        ];
        if (!HasRun && Directory.Exists(Path)
            && Directory.EnumerateFileSystemEntries(Path).Select(System.IO.Path.GetFileName).FirstOrDefault(
                name => !own.Contains(name) && !name!.EndsWith(".tmp", StringComparison.Ordinal)) is { } foreign)
        {
            throw new IOException($"'{Path}' holds other files than a run's, such as {foreign}; name another folder");
        }

        var made = Directory.Exists(Path) ? null : Directory.CreateDirectory(Path);
        try
        {
            var handle = new FileStream(
                In(Lock), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            return new Held(this, handle, made is not null);
        }
        catch (IOException error) when (File.Exists(In(Lock)))
        {
            throw new IOException($"another process is training in '{Path}'; wait for it, or name another folder", error);
        }
    }

    /// <summary>Writes a text file under another name and renames it, so that it is never half-written.</summary>
    public static void Write(string path, string text)
    {
        var temporary = path + ".tmp";
        try
        {
            File.WriteAllText(temporary, text);
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Lets the folder go; one that was made and stayed empty leaves with it.</summary>
    private sealed class Held(RunFolder folder, FileStream file, bool made) : IDisposable
    {
        public void Dispose()
        {
            file.Dispose();
            if (made && Directory.Exists(folder.Path) && !Directory.EnumerateFileSystemEntries(folder.Path).Any())
                Directory.Delete(folder.Path);
        }
    }
}
