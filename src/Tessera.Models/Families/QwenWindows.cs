using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Blocks;

namespace Tessera.Models;

/// <summary>
/// Which layers of a Qwen have windows: those that <c>layer_types</c> says, and where it does not say, as <c>max_window_layers</c> has it;
/// none unless <c>use_sliding_window</c>.
/// </summary>
internal static class QwenWindows
{
    /// <summary>Gives a stack whose layers all have full attention its windows.</summary>
    /// <param name="config">The config.</param>
    /// <param name="stack">The stack.</param>
    /// <param name="otherwise">Whether a layer, from 0, has a window where <c>layer_types</c> does not say, given
    /// <c>max_window_layers</c>; those from that layer on where null.</param>
    public static TransformerOptions Read(HuggingFaceConfig config, TransformerOptions stack, Func<int, int, bool>? otherwise = null)
    {
        var window = config.Truth("use_sliding_window", false) ? config.WholeOrNull("sliding_window", 4096) : null;
        var first = config.Whole("max_window_layers", 28, min: 0);
        var slides = LayerTypes.Read(
            config, stack.Layers, window is not null, layer => otherwise?.Invoke(layer, first) ?? layer >= first,
            "there is no sliding_window, or use_sliding_window is false");
        return window is { } keys ? LlamaConfig.WithWindows(stack, slides, keys) : stack;
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
