using Tessera.Models;
using Tessera.Nn;
using Tessera.Training.Data;

namespace Tessera.Training;

/// <summary>The finished model that a run goes on from.</summary>
internal static class StartingPoint
{
    /// <summary>Loads the model.</summary>
    /// <param name="path">A folder or file.</param>
    /// <param name="asStored">Whether its weights stay as they are stored, since they are not to learn.</param>
    /// <param name="check">Whether to read all weights to see that they are those that were written.</param>
    /// <exception cref="RecipeException">There is nothing of the kind.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static ModelFolder Load(string path, bool asStored, bool check)
    {
        try
        {
            var model = ModelFolder.Load(path, asStored, check);
            return model.Adapters is null
                ? model
                : throw new RecipeException("start", $"is '{path}', adapters beside a model; merge them first (tessera merge)");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new RecipeException("start", error.Message);
        }
    }

    /// <summary>A published tokenizer may know more tokens than its model; texts must not use them.</summary>
    /// <exception cref="RecipeException">They do.</exception>
    public static void RequireTokens(Dataset data, SequenceModel model)
    {
        var largest = data.LargestToken;
        if (largest < model.Vocabulary) return;
        throw new RecipeException(
            "start",
            $"has a tokenizer that gives token {largest} for a text of the corpus, which its model does not have; "
            + $"its tokens are 0 to {model.Vocabulary - 1}");
    }
}
