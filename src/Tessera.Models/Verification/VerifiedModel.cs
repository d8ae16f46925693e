using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Verification;

/// <summary>What <see cref="ModelVerification"/> runs: the model of a folder, with weights in F32, and the names of its tensors.</summary>
internal static class VerifiedModel
{
    private const string AdapterFile = "adapter_config.json";

    /// <summary>Loads the model.</summary>
    public static ModelFolder Load(string folder) => File.Exists(Path.Combine(folder, AdapterFile))
        ? throw new InvalidDataException($"'{folder}' holds an adapter ({AdapterFile}); only whole models can be verified")
        : ModelFolder.Load(folder);

    /// <summary>The table between its names and those of its checkpoint.</summary>
    public static TensorNames Names(ModelFolder folder) =>
        folder.Family is { } family && folder.Config.Model is DecoderOptions options ? family.Names(options) : TensorNames.Identity(folder.Model);

    /// <summary>What the recording weighs the losses of later tokens with, which <c>case.json</c> may say.</summary>
    public static float? LaterWeight(string folder)
    {
        var path = Path.Combine(folder, "case.json");
        return File.Exists(path) && HuggingFaceConfig.Load(path).NumberOrNull("loss_weight") is { } weight ? (float)weight : null;
    }
}
