using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests.Data;

/// <summary>A tokenizer without merges: a token a byte, so that a test can count.</summary>
internal static class ByteTokens
{
    public static Tokenizer Tokenizer { get; } =
        BytePairTrainer.Train(["a"], new BytePairTrainerOptions(260, SpecialTokens: SpecialTokens.Texts));

    /// <summary>The ids of a text.</summary>
    public static int[] Of(string text) => Tokenizer.EncodeOrdinary(text);

    /// <summary>The tokenizer of bytes, with further special tokens from id 3 on.</summary>
    public static Tokenizer With(params string[] special) =>
        BytePairTrainer.Train(["a"],
            new BytePairTrainerOptions(257 + 3 + special.Length, SpecialTokens: [.. SpecialTokens.Texts, .. special]));

    /// <summary>A dataset of an objective, for a model that it fits.</summary>
    public static Dataset Prepare(
        ObjectiveOptions objective, IReadOnlyList<Example> examples, BatchOptions batches, Tokenizer? tokenizer = null,
        PromptFormat? format = null,
        bool? readsSource = null)
    {
        tokenizer ??= Tokenizer;
        var recipes = new[] { TrainingFolder.TextRecipe(), TrainingFolder.Recipe() };
        var model = recipes.Select(recipe => recipe.Model.Build(tokenizer.VocabularySize, seed: 1))
            .First(model => objective.Fits(model) && (readsSource is null || readsSource == model.ReadsSource));
        return objective.Build(new ObjectiveContext(model, tokenizer, format ?? PromptFormat.Own)).Prepare(examples, batches);
    }
}
