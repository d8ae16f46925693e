using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Training;

/// <summary>The finished model that a run goes on from.</summary>
internal static class StartingPoint
{
    /// <summary>Loads the model.</summary>
    /// <param name="path">A folder or file.</param>
    /// <param name="asStored">Whether its weights stay as they are stored, since they are not to learn.</param>
    /// <exception cref="RecipeException">There is nothing of the kind.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static ModelFolder Load(string path, bool asStored)
    {
        try
        {
            var model = ModelFolder.Load(path, asStored);
            return model.Adapters is null ? model : throw new RecipeException("start", $"is '{path}', adapters beside a model; merge them first (tessera merge)");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new RecipeException("start", error.Message);
        }
    }

    /// <summary>The recipe's model with the weights of the one it goes on from: that itself, or one whose options differ only in what
    /// matters in training, such as dropout.</summary>
    /// <exception cref="RecipeException">Their parameters differ.</exception>
    public static SequenceModel Model(ModelFolder start, Recipe recipe)
    {
        if (RecipeJson.FirstDifference(RecipeJson.Tree(start.Config.Model), RecipeJson.Tree(recipe.Model)) is null) return start.Model;
        var model = recipe.Model.Build(start.Config.Vocabulary, recipe.Seed);
        var (from, to) = (start.Model.Parameters().ToDictionary(own => own.Name, own => own.Parameter), model.Parameters());
        foreach (var (name, parameter) in to)
        {
            if (!from.Remove(name, out var own) || own.Shape != parameter.Shape)
                throw new RecipeException("model", $"has the parameter {name} {parameter.Shape}, which the start, '{recipe.Start}', {(own is null ? "lacks" : $"has as {own.Shape}")}; leave the model out to take the start's");
            parameter.ReadFrom(() => own.Value, own.Type, isFixed: recipe.Lora is not null);
        }

        return from.Count == 0 ? model : throw new RecipeException("model", $"lacks the parameter {from.Keys.First()} of the start, '{recipe.Start}'; leave the model out to take the start's");
    }
}
