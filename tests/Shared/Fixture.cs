using System.Formats.Tar;
using System.IO.Compression;

namespace Tessera.Testing;

/// <summary>
/// Finds reference outputs: small ones beside a project's tests, larger ones in the archives of <c>tests/Fixtures</c>, and all of them
/// in a <c>shared</c> folder beside the checkout where there is one.
/// </summary>
internal static class Fixture
{
    private static readonly Lock s_unpacking = new();
    private static readonly Dictionary<string, string?> s_unpacked = [];

    /// <summary>The path of a file or folder under the test project's <c>Fixtures/</c>.</summary>
    public static string Local(string relative) => Path.Combine(AppContext.BaseDirectory, "Fixtures", relative);

    /// <summary>
    /// The path of a file or folder in the <c>shared</c> folder beside the checkout (unless <c>TESSERA_NO_SHARED</c> is set) or, where
    /// that lacks it, in the archive of its part; null where neither has it.
    /// </summary>
    /// <param name="relative">Its path from there, such as <c>fixtures/hf/llama</c>, which the archive <c>hf.tar.br</c> holds.</param>
    public static string? Shared(string relative)
    {
        if (Environment.GetEnvironmentVariable("TESSERA_NO_SHARED") is null && Above(Path.Combine("shared", relative)) is { } beside)
            return beside;
        if (relative.Split('/') is not [_, var archive, ..]) return null;
        lock (s_unpacking)
        {
            if (!s_unpacked.TryGetValue(archive, out var folder)) s_unpacked[archive] = folder = Unpack(archive);
            var path = folder is null ? null : Path.Combine(folder, relative);
            return Path.Exists(path) ? path : null;
        }
    }

    private static string? Unpack(string archive)
    {
        if (Above(Path.Combine("tests", "Fixtures", $"{archive}.tar.br")) is not { } packed) return null;
        var folder = Path.Combine(AppContext.BaseDirectory, "Unpacked", archive);
        if (Directory.Exists(folder))
        {
            if (Directory.GetCreationTimeUtc(folder) > File.GetLastWriteTimeUtc(packed)) return folder;
            Directory.Delete(folder, recursive: true);
        }

        // Under another name until it is whole, so that a run that is stopped leaves nothing that looks like it.
        var partial = Directory.CreateDirectory($"{folder}.{Guid.NewGuid():N}").FullName;
        using (var stream = new BrotliStream(File.OpenRead(packed), CompressionMode.Decompress))
            TarFile.ExtractToDirectory(stream, partial, overwriteFiles: false);
        Directory.Move(partial, folder);
        return folder;
    }

    private static string? Above(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, relative);
            if (Path.Exists(candidate)) return candidate;
        }

        return null;
    }
}
