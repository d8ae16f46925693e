namespace Tessera.Models.Formats;

/// <summary>Whether two paths lead to the same file or folder, however they are written: relative, with a separator at the end, or
/// through symbolic links. Neither has to be there.</summary>
internal static class SamePlace
{
    private const int MaxLinks = 40; // as Linux has it

    private static readonly StringComparison s_names =
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;

    /// <exception cref="IOException">Links lead in a circle.</exception>
    public static bool Is(string one, string other) => string.Equals(Resolved(one, MaxLinks), Resolved(other, MaxLinks), s_names);

    private static string Resolved(string path, int links)
    {
        if (links == 0) throw new IOException($"'{path}': symbolic links lead to one another without end");
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.GetDirectoryName(path) is not { } parent) return path;
        parent = Resolved(parent, links);
        path = Path.Combine(parent, Path.GetFileName(path));
        return new FileInfo(path).LinkTarget is { } target ? Resolved(Path.Combine(parent, target), links - 1) : path;
    }
}
