using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Tensors;

namespace Tessera.Models.Conversion;

/// <summary>Writes a model as a folder of ours: <c>config.json</c> with its parts, <c>model.safetensors</c> and the tokenizer's
/// file.</summary>
internal static class OwnTarget
{
    /// <summary>Writes the weights that a model has now, as F32.</summary>
    /// <exception cref="ArgumentException">They are to be of another type.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static ConversionResult Save(ModelFolder model, string target, ElementType type)
    {
        if (type != ElementType.F32) throw new ArgumentException($"a folder of a run holds F32, not {type}; convert it afterwards");
        WholeFolder.Write(target, unfinished => Fill(model, unfinished));
        return new ConversionResult("Tessera", model.Model.Parameters().Count, MachineMemory.BytesOf(model.Model), []);
    }

    private static void Fill(ModelFolder model, string unfinished)
    {
        var weights = Path.Combine(unfinished, ModelFolder.WeightsFile);
        Weights.Save(weights, model.Model, model.Names);
        WholeFolder.CopyTexts(model.Path!, unfinished);
        var config = model.Config with { WeightsHash = ModelFolder.Hash(weights) };
        File.WriteAllText(Path.Combine(unfinished, ModelFolder.ConfigFile), RecipeJson.Write(config) + "\n");
    }
}
