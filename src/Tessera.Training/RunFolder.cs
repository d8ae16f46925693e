using Tessera.Models;

namespace Tessera.Training;

/// <summary>The files of a run: its recipe, tokenizer, checkpoints, measurements, and at last the finished model, which
/// <see cref="ModelFolder.Load"/> reads.</summary>
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

    /// <summary>The folder of checkpoints.</summary>
    public string Checkpoints => In("checkpoints");

    /// <summary>The finished weights.</summary>
    public string Weights => In(ModelFolder.WeightsFile);

    /// <summary>The options of the finished model.</summary>
    public string Config => In(ModelFolder.ConfigFile);

    /// <summary>Whether a run has begun here.</summary>
    public bool HasRun => File.Exists(Recipe);

    /// <summary>A file of the run.</summary>
    public string In(string file) => System.IO.Path.Combine(Path, file);

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
}
