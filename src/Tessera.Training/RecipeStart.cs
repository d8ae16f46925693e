using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Training;

/// <summary>What a recipe makes of the finished model that it goes on from.</summary>
internal static class RecipeStart
{
    /// <summary>Loads the model that a recipe goes on from; null where it begins anew.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="check">Whether to read all weights to see that they are those that were written.</param>
    /// <exception cref="RecipeException">There is nothing of the kind, or the recipe asks for what cannot be made of it.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static ModelFolder? Of(Recipe recipe, bool check = true)
    {
        if (recipe.Start is not { } path) return null;
        var start = StartingPoint.Load(path, asStored: recipe.Lora is not null, check);
        if (recipe.Lora is null && start.Path is null)
        {
            throw new RecipeException(
                "start", $"is '{path}', a file whose weights cannot be written back; convert it to a folder, or train adapters (lora)");
        }

        var (wanted, found) = (recipe.Tokenizer.Vocabulary, start.Tokenizer.VocabularySize);
        if (wanted == new TokenizerOptions().Vocabulary || wanted == found) return start;
        throw new RecipeException(
            "tokenizer.vocabulary",
            $"is {wanted} with a start, which has a tokenizer of its own of {found} tokens; leave it out");
    }

    /// <summary>The recipe's model with the weights of the one it goes on from: that itself, or one whose options differ only in what
    /// matters in training, such as dropout.</summary>
    /// <exception cref="RecipeException">They would not compute the same.</exception>
    public static SequenceModel Model(ModelFolder start, Recipe recipe)
    {
        if (RecipeJson.FirstDifference(RecipeJson.Tree(start.Config.Model), RecipeJson.Tree(recipe.Model)) is null) return start.Model;
        var model = recipe.Model.Build(start.Config.Vocabulary, recipe.Seed);
        var (allowed, found) = (CanonicalOptions.Of(start.Config.Model), CanonicalOptions.Of(recipe.Model));
        if (RecipeJson.FirstDifference(allowed, found) is { } path)
        {
            var (has, wants) = (CanonicalOptions.At(allowed, path), CanonicalOptions.At(found, path));
            throw new RecipeException(
                $"model.{path}", $"is {wants}; allowed: {has}, as in the start, '{recipe.Start}'; leave the model out to take the start's");
        }

        var weights = start.Model.Parameters().ToDictionary(own => own.Name, own => own.Parameter);
        foreach (var (name, parameter) in model.Parameters())
        {
            var own = weights[name];
            parameter.ReadFrom(() => own.Value, own.Type, isFixed: recipe.Lora is not null);
        }

        return model;
    }
}
