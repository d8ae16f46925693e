using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;

namespace Tessera.Models;

/// <summary>
/// Which layers of a Qwen have windows: those that <c>layer_types</c> says, and where it is not said those from <c>max_window_layers</c>
/// on; none unless <c>use_sliding_window</c>.
/// </summary>
internal static class QwenWindows
{
    /// <summary>Gives a stack whose layers all have full attention its windows.</summary>
    public static TransformerOptions Read(HuggingFaceConfig config, MultiHeadOptions full, TransformerOptions stack)
    {
        var window = config.Truth("use_sliding_window", false) ? config.WholeOrNull("sliding_window", 4096) : null;
        var first = config.Whole("max_window_layers", 28, min: 0);
        var slides = LayerTypes.Read(
            config, stack.Layers, window is not null, layer => layer >= first,
            "there is no sliding_window, or use_sliding_window is false");
        if (window is not { } keys) return stack;
        var limited = full with { Pattern = new WindowPattern(keys) };
        return slides.All(slide => slide)
            ? stack with
            {
                Attention = limited,
            }
            : stack with
            {
                Variants = LlamaConfig.Runs(slides.Length, layer => slides[layer], new LayerVariant { Attention = limited }),
            };
    }

    /// <summary>Writes them.</summary>
    public static void Write(TransformerOptions stack, JsonObject config)
    {
        var windows = Enumerable.Range(0, stack.Layers).Select(layer => LlamaConfig.WindowOf(stack.MixerOf(layer).Options)).ToArray();
        var window = LayerTypes.Write(stack, config);
        config["use_sliding_window"] = window is not null;
        config["sliding_window"] = window;
        // Readers before layer_types go by this; it is exact where the layers with windows are the last ones.
        config["max_window_layers"] = window is null ? stack.Layers.Count : Array.FindIndex(windows, keys => keys is not null);
    }
}
