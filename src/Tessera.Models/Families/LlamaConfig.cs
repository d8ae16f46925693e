using System.Text.Json.Nodes;
using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;

namespace Tessera.Models;

/// <summary>What the families after Llama have in common in their <c>config.json</c>.</summary>
internal static class LlamaConfig
{
    /// <summary>Writes width, layers and heads.</summary>
    public static void WriteSizes(DecoderOptions options, MultiHeadOptions attention, JsonObject config)
    {
        config["hidden_size"] = options.Width;
        config["num_hidden_layers"] = options.Decoder.Layers.Count;
        var (heads, keyValueHeads, headWidth) = attention.SizesIn(options.Width);
        config["num_attention_heads"] = heads;
        config["num_key_value_heads"] = keyValueHeads;
        config["head_dim"] = headWidth;
    }

    /// <summary>The same attention, limited to a window where there is one.</summary>
    public static MultiHeadOptions Windowed(MultiHeadOptions full, int? window) =>
        window is { } keys ? full with { Pattern = new WindowPattern(keys) } : full;

    /// <summary>The window of an attention that looks back no further; null where it sees everything, or is another.</summary>
    public static int? WindowOf(MixerOptions attention) =>
        attention is MultiHeadOptions { Pattern: WindowPattern { GlobalTokens: 0 } window } ? window.Window : null;

    /// <summary>One variant for each run of layers that differ from the rest; null where none does.</summary>
    /// <param name="layers">How many layers there are.</param>
    /// <param name="differs">Whether a layer, from 0, does.</param>
    /// <param name="how">What those layers have instead.</param>
    public static IReadOnlyList<LayerVariant>? Runs(int layers, Func<int, bool> differs, LayerVariant how)
    {
        var runs = new List<LayerVariant>();
        for (var layer = 0; layer < layers; layer++)
        {
            if (!differs(layer)) continue;
            if (runs.Count > 0 && runs[^1].Last == layer - 1) runs[^1] = runs[^1] with { Last = layer };
            else runs.Add(how with { First = layer, Last = layer });
        }

        return runs.Count == 0 ? null : runs;
    }

    /// <summary>The first feed-forward of a kind among the layers, and whether each layer has one.</summary>
    public static (T? First, Func<int, bool> Has) FeedForwards<T>(DecoderOptions options) where T : FeedForwardOptions
    {
        var layers = Enumerable
            .Range(0, options.Decoder.Layers + options.MtpDepth)
            .Select(layer => options.Decoder.FeedForwardOf(layer).Options)
            .ToArray();
        return (layers.OfType<T>().FirstOrDefault(), layer => layers[layer] is T);
    }
}
