using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Verification;

/// <summary>What a recording says of the model.</summary>
internal static class VerifiedModel
{
    /// <summary>What the recording weighs the losses of later tokens with, which <c>case.json</c> may say.</summary>
    public static float? LaterWeight(string folder)
    {
        var path = Path.Combine(folder, "case.json");
        return File.Exists(path) && HuggingFaceConfig.Load(path).NumberOrNull("loss_weight") is { } weight ? (float)weight : null;
    }
}
