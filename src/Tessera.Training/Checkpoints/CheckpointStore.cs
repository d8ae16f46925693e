using System.Globalization;
using System.Text.RegularExpressions;

namespace Tessera.Training.Checkpoints;

/// <summary>
/// The checkpoints of one run: a folder with one folder each, <c>step-000001200</c>. A checkpoint is written under a name that
/// begins with <c>.tmp-</c> and renamed when all of it is on the disk, so that a process that is killed at any instant leaves the
/// old or the new checkpoint whole, never a part of one under its name. One process writes to a store at a time; any may read.
/// </summary>
internal sealed partial class CheckpointStore
{
    private const string TemporaryPrefix = ".tmp-";

    private readonly int _keep;

    /// <summary>Opens the store in a folder, which is made with the first checkpoint.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="keep">How many of the newest checkpoints stay, at least 1; the one with the lowest score stays besides.</param>
    /// <exception cref="ArgumentOutOfRangeException">None are to be kept.</exception>
    public CheckpointStore(string folder, int keep = 3)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1);
        (Folder, _keep) = (Path.GetFullPath(folder), keep);
    }

    /// <summary>The folder, as a full path.</summary>
    public string Folder { get; }

    /// <summary>Told of every file operation before it is done: tests look at the disk there, or fail.</summary>
    internal Action<string, string> BeforeOperation { get; init; } = (_, _) => { };

    /// <summary>Writes a checkpoint, then removes those that are no longer kept, and what a killed process left behind.</summary>
    /// <param name="step">The step it was made after, at least 0. Where the store has one of this step it is replaced.</param>
    /// <param name="write">Writes the files.</param>
    /// <param name="score">How good the model is, lower is better, as a loss on held-out data; null or not finite where it is not
    /// known.</param>
    /// <param name="comparedFrom">Scores of checkpoints of this step and those before are of something else, and count no more.</param>
    /// <returns>The checkpoint.</returns>
    /// <exception cref="IOException">The disk is full or fails: the message names the file, the bytes needed and those free. Earlier
    /// checkpoints are as they were and nothing is left of this one.</exception>
    public Checkpoint Save(long step, Action<CheckpointWriter> write, double? score = null, long comparedFrom = -1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        Directory.CreateDirectory(Folder);
        RemoveTemporary();
        var same = Stored().Where(stored => stored.Step == step).ToList();
        var name = NameOf(step, same.Count == 0 ? 0 : same.Max(stored => stored.Repeat) + 1);
        var path = Path.Combine(Folder, name);
        var temporary = TemporaryName(name);
        Directory.CreateDirectory(temporary);
        var writer = new CheckpointWriter(temporary, BeforeOperation);
        try
        {
            write(writer);
            writer.Finish(step, score);
            BeforeOperation("rename", temporary);
            Directory.Move(temporary, path);
        }
        catch (Exception failure)
        {
            Remove(temporary);
            if (failure is not IOException) throw;
            throw new IOException(
                $"cannot save the checkpoint {path}: {writer.CurrentFile}: {failure.Message.TrimEnd('.')}; "
                + $"the checkpoint needs at least {writer.BytesNeeded} bytes, {Free()} are free", failure);
        }

        FolderFlush.ToDisk(Folder);
        foreach (var (_, _, replaced) in same) Discard(replaced);
        Retire(path, comparedFrom);
        return Checkpoint.Unverified(path);
    }

    /// <summary>All checkpoints, the oldest first, whole or not.</summary>
    public IReadOnlyList<RunCheckpoint> All() =>
    [
        .. Stored().OrderBy(stored => (stored.Step, stored.Repeat))
            .Select(stored => new RunCheckpoint(stored.Step, stored.Path, Checkpoint.ScoreOf(stored.Path))),
    ];

    /// <summary>The newest checkpoint that is whole: every file has the size and hash that were recorded. Damaged ones are passed
    /// over.</summary>
    /// <param name="damaged">Told why each newer one was passed over.</param>
    /// <returns>The checkpoint, or null where there is none.</returns>
    public Checkpoint? Latest(Action<Exception>? damaged = null) =>
        FirstWhole(Stored().OrderByDescending(stored => (stored.Step, stored.Repeat)), damaged);

    /// <summary>The checkpoint with the lowest score among those that are whole and have one.</summary>
    /// <param name="comparedFrom">Only checkpoints of later steps than this count.</param>
    /// <param name="damaged">Told why each better one was passed over.</param>
    /// <returns>The checkpoint, or null where there is none.</returns>
    public Checkpoint? Best(long comparedFrom = -1, Action<Exception>? damaged = null) => FirstWhole(ByScore(comparedFrom), damaged);

    /// <summary>The steps of all checkpoints, whole or not, in order.</summary>
    public IReadOnlyList<long> Steps => [.. Stored().Select(stored => stored.Step).Distinct().Order()];

    /// <summary>The folder of the checkpoint of a step; null where there is none.</summary>
    public string? FolderOf(long step) =>
        Stored().Where(stored => stored.Step == step).MaxBy(stored => stored.Repeat)?.Path;

    private static Checkpoint? FirstWhole(IEnumerable<StoredCheckpoint> stored, Action<Exception>? damaged)
    {
        foreach (var (_, _, path) in stored)
        {
            try
            {
                return Checkpoint.Load(path);
            }
            catch (Exception failure) when (failure is InvalidDataException or IOException)
            {
                damaged?.Invoke(failure);
            }
        }

        return null;
    }

    [GeneratedRegex(@"^step-(\d{9,18})(?:-(\d{1,9}))?$")]
    private static partial Regex StoredName();

    private static string NameOf(long step, int repeat)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"step-{step:D9}");
        return repeat == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}-{repeat}");
    }

    private IEnumerable<StoredCheckpoint> Stored()
    {
        if (!Directory.Exists(Folder)) return [];
        return
            from path in Directory.EnumerateDirectories(Folder)
            let match = StoredName().Match(Path.GetFileName(path))
            where match.Success
            let repeat = match.Groups[2]
            select new StoredCheckpoint(
                long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture),
                repeat.Success ? int.Parse(repeat.ValueSpan, CultureInfo.InvariantCulture) : 0,
                path);
    }

    private IEnumerable<StoredCheckpoint> ByScore(long comparedFrom) =>
        from stored in Stored()
        where stored.Step > comparedFrom
        let score = Checkpoint.ScoreOf(stored.Path)
        where score is not null
        orderby score, stored.Step descending
        select stored;

    /// <summary>Removes old checkpoints. Those of later steps than the one just saved are damaged ones that were passed over;
    /// they must not push it out.</summary>
    private void Retire(string saved, long comparedFrom)
    {
        var best = ByScore(comparedFrom).FirstOrDefault();
        var old = Stored()
            .OrderByDescending(stored => (stored.Step, stored.Repeat))
            .Skip(_keep)
            .Where(stored => stored != best && stored.Path != saved);
        foreach (var (_, _, path) in old.ToList()) Discard(path);
    }

    /// <summary>Removes a checkpoint: under another name first, since to delete a folder takes many steps and half a checkpoint
    /// must not be found under its name.</summary>
    private void Discard(string path)
    {
        var temporary = TemporaryName(Path.GetFileName(path));
        try
        {
            BeforeOperation("rename", path);
            Directory.Move(path, temporary);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return; // an old checkpoint more than wanted; the next one that is saved tries again
        }

        Remove(temporary);
    }

    private void RemoveTemporary()
    {
        foreach (var path in Directory.GetDirectories(Folder, TemporaryPrefix + "*")) Remove(path);
    }

    private void Remove(string path)
    {
        try
        {
            BeforeOperation("delete", path);
            Directory.Delete(path, recursive: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // It is not under the name of a checkpoint, and the next one that is saved tries again.
        }
    }

    private string TemporaryName(string name) => Path.Combine(Folder, $"{TemporaryPrefix}{name}-{Guid.NewGuid():N}");

    private string Free()
    {
        try
        {
            return new DriveInfo(Folder).AvailableFreeSpace.ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return "an unknown number";
        }
    }

    private sealed record StoredCheckpoint(long Step, int Repeat, string Path);
}
