using System.Globalization;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>
/// The memory that a process can still take, asked before a model is made or read: what the machine has left, and what the control groups
/// of a container leave of it. A model that is larger would be paged or end the process, after minutes of work.
/// </summary>
public static class MachineMemory
{
    /// <summary>How many bytes a process can still take; the file cache counts as free.</summary>
    public static long Available => Under("/");

    /// <summary>What keeps so much memory from being taken, in one sentence for people; null where there is enough.</summary>
    /// <param name="bytes">How much is needed.</param>
    /// <param name="what">What for: <c>the model's weights</c>.</param>
    public static string? WhyNot(long bytes, string what) => WhyNot(bytes, what, Available);

    /// <summary>What keeps so much memory from being taken where so much is left; null where there is enough.</summary>
    /// <param name="bytes">How much is needed.</param>
    /// <param name="what">What for.</param>
    /// <param name="available">How much is left.</param>
    public static string? WhyNot(long bytes, string what, long available)
    {
        if (bytes <= available) return null;
        var (need, left) = (InGibibytes(bytes), InGibibytes(available));
        return $"{what} need {need} of memory, of which {left} are left; take a smaller model, one of fewer bits, or a machine with more";
    }

    /// <summary>The bytes of a model's weights, in the types it holds them in. None is touched to say so.</summary>
    public static long BytesOf(Module model) =>
        model.Parameters().Sum(own => own.Parameter.Type.Bytes(own.Parameter.Shape.Count));

    /// <summary>Makes or reads all weights now, one after the other, so that it can be stopped.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cancellation">Stops between two weights.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Touch(Module model, CancellationToken cancellation)
    {
        foreach (var (_, parameter) in model.Parameters())
        {
            cancellation.ThrowIfCancellationRequested();
            _ = parameter.Value;
        }
    }

    /// <summary>As <see cref="Available"/>, as the files under a root say.</summary>
    internal static long Under(string root)
    {
        var free = Number(Path.Combine(root, "proc/meminfo"), "MemAvailable:") is { } kibibytes
            ? kibibytes * 1024
            : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        foreach (var line in Lines(Path.Combine(root, "proc/self/cgroup")))
        {
            var fields = line.Split(':', 3); // number, controllers, path
            if (fields.Length < 3) continue;
            var isFirst = fields[1].Split(',').Contains("memory"); // of the older version, where each controller has a tree
            if (!isFirst && fields[1].Length > 0) continue;
            var tree = Path.Combine(root, isFirst ? "sys/fs/cgroup/memory" : "sys/fs/cgroup");
            // Every group above limits, too. Within a container its own path is not there: the tree begins with it.
            for (var path = fields[2].Trim('/'); ; path = path.Contains('/', StringComparison.Ordinal) ? path[..path.LastIndexOf('/')] : "")
            {
                if (Left(Path.Combine(tree, path), isFirst) is { } left) free = Math.Min(free, left);
                if (path.Length == 0) break;
            }
        }

        return Math.Max(0, free);
    }

    /// <summary>What a control group leaves; null where it has no limit.</summary>
    private static long? Left(string group, bool isFirst)
    {
        var (limit, used, cache) = isFirst
            ? ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_{0}_file")
            : ("memory.max", "memory.current", "{0}_file");
        if (Number(Path.Combine(group, limit)) is not { } most || Number(Path.Combine(group, used)) is not { } taken) return null;
        var reclaimable = ((string[])["inactive", "active"]).Sum(kind => Number(
            Path.Combine(group, "memory.stat"), cache.Replace("{0}", kind, StringComparison.Ordinal)) ?? 0);
        return most - Math.Max(0, taken - reclaimable);
    }

    private static string InGibibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 30):F1} GiB");

    /// <summary>The number of a file, or after a word at the beginning of one of its lines; null where there is none.</summary>
    private static long? Number(string path, string? after = null)
    {
        foreach (var line in Lines(path))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (after is not null && (words.Length < 2 || words[0] != after)) continue;
            return long.TryParse(words[after is null ? 0 : 1], CultureInfo.InvariantCulture, out var number) ? number : null;
        }

        return null;
    }

    private static IEnumerable<string> Lines(string path)
    {
        try
        {
            return File.Exists(path) ? [.. File.ReadLines(path).Where(line => line.Length > 0)] : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return []; // a limit that may not be read is none that is known
        }
    }
}
