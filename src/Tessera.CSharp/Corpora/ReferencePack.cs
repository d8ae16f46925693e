using System.Runtime.InteropServices;

namespace Tessera.CSharp.Corpora;

/// <summary>
/// A pack of reference assemblies and their documentation, as an SDK keeps it:
/// <c>packs/&lt;name&gt;/&lt;version&gt;/ref/net&lt;version&gt;/*.dll</c> with an <c>.xml</c> beside most.
/// </summary>
/// <param name="Name">The pack's name.</param>
/// <param name="Version">The pack's version.</param>
/// <param name="Folder">Where its assemblies are.</param>
internal sealed record ReferencePack(string Name, string Version, string Folder)
{
    /// <summary>The pack of the base class library.</summary>
    public const string Core = "Microsoft.NETCore.App.Ref";

    /// <summary>Paths of the assemblies, in ordinal order.</summary>
    public string[] Assemblies => Sorted("*.dll");

    /// <summary>Paths of the documentation files, in ordinal order.</summary>
    public string[] Documentation => Sorted("*.xml");

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Version} ({Path.GetFileName(Folder)})";

    /// <summary>The newest version of a pack.</summary>
    /// <param name="name">The pack's name.</param>
    /// <param name="packsFolder">Where to look before the installed SDKs, or null.</param>
    /// <exception cref="DirectoryNotFoundException">It is not there; the message says where it was looked for.</exception>
    public static ReferencePack Find(string name, string? packsFolder)
    {
        var candidates = InstalledPacks().Prepend(packsFolder).OfType<string>().Distinct().ToList();
        foreach (var candidate in candidates)
        {
            if (Newest(name, Path.Combine(candidate, name)) is { } pack) return pack;
        }

        throw new DirectoryNotFoundException(
            $"there is no reference pack {name}; looked in {string.Join(", ", candidates)}. It comes with the .NET SDK " +
            "(not with the runtime alone) or with a targeting pack package of the system, such as dotnet-targeting-pack-10.0; " +
            "or set data.packsFolder to a folder with <pack>/<version>/ref/net<version>/*.dll");
    }

    private static ReferencePack? Newest(string name, string folder)
    {
        if (!Directory.Exists(folder)) return null;
        return Directory.EnumerateDirectories(folder)
            .OrderByDescending(version => VersionOrder(Path.GetFileName(version)))
            .ThenByDescending(version => version, StringComparer.Ordinal)
            .Select(version => (Version: version, Assemblies: NewestFramework(Path.Combine(version, "ref"))))
            .Where(found => found.Assemblies is not null)
            .Select(found => new ReferencePack(name, Path.GetFileName(found.Version), found.Assemblies!))
            .FirstOrDefault();
    }

    private static string? NewestFramework(string folder)
    {
        if (!Directory.Exists(folder)) return null;
        return Directory.EnumerateDirectories(folder, "net*")
            .Where(framework => Directory.EnumerateFiles(framework, "*.dll").Any())
            .MaxBy(framework => VersionOrder(Path.GetFileName(framework)["net".Length..]));
    }

    /// <summary>Orders <c>9.0.1 &lt; 10.0.0-rc.1 &lt; 10.0.0</c>; what is no version comes first.</summary>
    private static (System.Version Version, bool IsRelease) VersionOrder(string text)
    {
        var release = text.Split('-')[0];
        var version = System.Version.TryParse(release, out var parsed) ? parsed : new System.Version(0, 0);
        return (version, release.Length == text.Length);
    }

    private static IEnumerable<string> InstalledPacks()
    {
        // A framework-dependent process runs in <root>/shared/Microsoft.NETCore.App/<version>/.
        yield return Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../../packs"));

        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } root)
            yield return Path.GetFullPath(Path.Combine(root, "packs"));

        var executable = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        var search = Environment.GetEnvironmentVariable("PATH") ?? "";
        foreach (var folder in search.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            var dotnet = new FileInfo(Path.Combine(folder, executable));
            if (!dotnet.Exists) continue;
            var resolved = dotnet.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? dotnet.FullName;
            yield return Path.Combine(Path.GetDirectoryName(resolved)!, "packs");
        }
    }

    private string[] Sorted(string pattern)
    {
        var files = Directory.GetFiles(Folder, pattern);
        Array.Sort(files, StringComparer.Ordinal);
        return files;
    }
}
