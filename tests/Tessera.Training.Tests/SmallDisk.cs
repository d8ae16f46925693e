using System.Diagnostics;

namespace Tessera.Training.Tests;

/// <summary>A disk of a few kilobytes in memory.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _folder;

    public SmallDisk(string folder, int kilobytes)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        if (!Run("mount", "-t", "tmpfs", "-o", $"size={kilobytes}k", "tmpfs", _folder))
            throw new IOException($"cannot mount a tmpfs at {folder}");
    }

    /// <summary>Whether this process may mount one.</summary>
    public static bool IsPermitted { get; } = Try();

    public void Resize(int kilobytes) => Assert.True(Run("mount", "-o", $"remount,size={kilobytes}k", _folder));

    public void Dispose() => Run("umount", _folder);

    private static bool Try()
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root") return false;
        var folder = Directory.CreateTempSubdirectory("tessera-");
        try
        {
            using var disk = new SmallDisk(folder.FullName, 64);
            return true;
        }
        catch (Exception failure) when (failure is IOException or System.ComponentModel.Win32Exception)
        {
            return false;
        }
        finally
        {
            folder.Delete();
        }
    }

    private static bool Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}

/// <summary>A test that mounts a small disk, and is skipped where that is not permitted.</summary>
public sealed class SmallDiskFactAttribute : FactAttribute
{
    /// <summary>Skips unless a tmpfs can be mounted.</summary>
    public SmallDiskFactAttribute()
    {
        if (!SmallDisk.IsPermitted) Skip = "needs the right to mount a tmpfs";
    }
}
