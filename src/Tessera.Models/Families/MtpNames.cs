using Tessera.Models.Formats;

namespace Tessera.Models;

/// <summary>Where DeepSeek-V3's checkpoints, and those of families after it, keep the layers for multi-token prediction (MTP): behind
/// the last layer, with maps and norms of their own.</summary>
internal static class MtpNames
{
    /// <summary>The options without layers that the checkpoint does not have: configurations announce one whatever there is.</summary>
    public static DecoderOptions Present(DecoderOptions options, TensorSource checkpoint) => options with
    {
        MtpDepth = Enumerable.Range(0, options.MtpDepth).TakeWhile(depth =>
            checkpoint.Tensors.ContainsKey($"{LlamaNames.Prefix}layers.{options.Decoder.Layers + depth}.eh_proj.weight")).Count(),
    };

    /// <summary>The names of a whole model.</summary>
    public static TensorNames Of(DecoderOptions options)
    {
        var names = LlamaNames.Of(options);
        for (var depth = 0; depth < options.MtpDepth; depth++)
        {
            var (layer, ours) = (options.Decoder.Layers + depth, $"mtp.{depth}.");
            var theirs = $"{LlamaNames.Prefix}layers.{layer}.";
            foreach (var part in new[] { "enorm", "hnorm", "eh_proj", "shared_head.norm" })
                names.Same($"{ours}{part}.weight", $"{theirs}{part}.weight");
            LlamaNames.Layer(names, $"{ours}layer.", theirs, options, layer);
            // Copies of the model's own.
            names.Ignored($"{theirs}embed_tokens.weight");
            names.Ignored($"{theirs}shared_head.head.weight");
        }

        return names;
    }
}
