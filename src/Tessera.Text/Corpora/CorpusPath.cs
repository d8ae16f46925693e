namespace Tessera.Text.Corpora;

/// <summary>Resolves the paths of a recipe's <c>data</c> and says which key named one that does not exist.</summary>
internal static class CorpusPath
{
    /// <summary>The full path of the file that <c>data.<paramref name="key"/></c> names.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static string File(string baseFolder, string key, string path)
    {
        var full = Path.GetFullPath(path, baseFolder);
        if (System.IO.File.Exists(full)) return full;
        var found = Directory.Exists(full) ? "is a folder, not a file" : "does not exist";
        throw new FileNotFoundException($"data.{key}: {full} {found}", full);
    }
}
