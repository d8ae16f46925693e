using System.Text.Json;

namespace Tessera.Training.Checkpoints;

/// <summary>The names and records of a checkpoint's own files.</summary>
internal static class CheckpointFormat
{
    /// <summary>The parameters of the model.</summary>
    public const string Model = "model.safetensors";

    /// <summary>What the optimizer remembers.</summary>
    public const string Optimizer = "optimizer.safetensors";

    /// <summary>The state of training.</summary>
    public const string State = "state.json";

    /// <summary>Step and score.</summary>
    public const string Summary = "checkpoint.json";

    /// <summary>Size and hash of all other files.</summary>
    public const string Hashes = "hashes.json";

    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Whether a name is that of a file in the checkpoint's own folder.</summary>
    public static bool IsFileName(string name) =>
        name.Length > 0 && name is not ("." or "..") && name.IndexOfAny(['/', '\\', '\0', ':']) < 0;

    /// <summary>What was recorded of a file.</summary>
    /// <param name="Bytes">Its size.</param>
    /// <param name="Sha256">Its hash in hexadecimal digits.</param>
    public sealed record FileRecord(long Bytes, string Sha256);

    /// <summary>What a checkpoint says of itself.</summary>
    public sealed record SummaryRecord(long Step, double? Score);
}
