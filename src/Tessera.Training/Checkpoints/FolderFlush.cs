using System.Runtime.InteropServices;
using System.Text;

namespace Tessera.Training.Checkpoints;

/// <summary>Brings the names in a folder to the disk: without it a renamed file may be back under its old name after a power cut.</summary>
internal static class FolderFlush
{
    /// <summary>Flushes a folder on Linux. Elsewhere, and where the file system does not offer it, nothing is done.</summary>
    public static void ToDisk(string folder)
    {
        // .NET opens no folders.
        if (!OperatingSystem.IsLinux()) return;
        var file = Open(Encoding.UTF8.GetBytes(folder + '\0'), 0);
        if (file < 0) return;
        _ = Synchronize(file);
        _ = Close(file);
    }

    [DllImport("libc", EntryPoint = "open")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open(byte[] path, int flags);

    [DllImport("libc", EntryPoint = "fsync")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Synchronize(int file);

    [DllImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int file);
}
