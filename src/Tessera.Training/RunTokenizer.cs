using Tessera.Models;
using Tessera.Nn;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training;

/// <summary>The tokenizer of a run that begins without a start: from a file, or trained on the run's texts.</summary>
internal static class RunTokenizer
{
    /// <summary>Loads or trains it.</summary>
    /// <exception cref="RecipeException">The file's tokenizer has other special tokens.</exception>
    public static Tokenizer For(Recipe recipe, string folder, RunCorpora corpora, CancellationToken cancellation)
    {
        if (recipe.Tokenizer.File is { } file) return Load(Path.Combine(folder, file));
        var options = new BytePairTrainerOptions(recipe.Tokenizer.Vocabulary, SpecialTokens: recipe.SpecialTexts);
        return BytePairTrainer.Train(corpora.Texts, options, cancellation);
    }

    /// <summary>Loads one whose special tokens have the ids by which sequences are framed.</summary>
    public static Tokenizer Load(string path)
    {
        var tokenizer = Tokenizer.Load(path);
        for (var id = 0; id < SpecialTokens.Texts.Count; id++)
        {
            if (tokenizer.Find(SpecialTokens.Texts[id]) == id) continue;
            throw new RecipeException(
                "tokenizer.file",
                $"has another token than '{SpecialTokens.Texts[id]}' with the id {id}; allowed: a tokenizer whose first tokens are "
                + string.Join(", ", SpecialTokens.Texts));
        }

        return tokenizer;
    }
}
