using Tessera.Models.Formats;
using Tessera.Models.Recipes;

namespace Tessera.Models.Conversion;

/// <summary>Writes a model as a folder of ours: <c>config.json</c> with its parts, <c>model.safetensors</c> and the tokenizer's
/// file.</summary>
internal static class OwnTarget
{
    /// <summary>Writes the weights that a model has now, as F32.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Save(ModelFolder model, string target) => WholeFolder.Write(target, unfinished =>
    {
        var weights = Path.Combine(unfinished, ModelFolder.WeightsFile);
        Weights.Save(weights, model.Model, model.Names);
        WholeFolder.CopyTexts(model.Path!, unfinished);
        var config = model.Config with { WeightsHash = ModelFolder.Hash(weights) };
        File.WriteAllText(Path.Combine(unfinished, ModelFolder.ConfigFile), RecipeJson.Write(config) + "\n");
    });
}
