namespace Tessera.Testing;

/// <summary>A test of what only Linux has; elsewhere it is skipped and says why.</summary>
public sealed class LinuxFactAttribute : FactAttribute
{
    /// <param name="why">What the test needs of Linux.</param>
    public LinuxFactAttribute(string why)
    {
        if (!OperatingSystem.IsLinux()) Skip = $"needs Linux: {why}";
    }
}
