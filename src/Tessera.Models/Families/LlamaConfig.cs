using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
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

    /// <summary>Gives some layers of a stack, whose attention sees everything, a window.</summary>
    public static TransformerOptions WithWindows(TransformerOptions stack, IReadOnlyList<bool> has, int window)
    {
        var limited = ((MultiHeadOptions)stack.Attention) with { Pattern = new WindowPattern(window) };
        if (has.All(windowed => windowed)) return stack with { Attention = limited };
        var runs = Runs(has.Count, layer => has[layer], new LayerVariant { Attention = limited });
        return runs is null ? stack : stack with { Variants = [.. stack.Variants ?? [], .. runs] };
    }

    /// <summary>The first window among the layers; null where there is none.</summary>
    public static int? FirstWindow(TransformerOptions stack) => Enumerable.Range(0, stack.Layers)
        .Select(layer => WindowOf(stack.MixerOf(layer).Options)).FirstOrDefault(window => window is not null);

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

    /// <summary>The attention of layers that differ as a stack has it: that of most layers, and variants for the rest.</summary>
    /// <param name="layers">How many layers there are.</param>
    /// <param name="of">The attention of a layer, from 0; the same object for layers that are alike.</param>
    public static (MixerOptions Attention, IReadOnlyList<LayerVariant>? Variants) Attentions(int layers, Func<int, MixerOptions> of)
    {
        var kinds = Enumerable.Range(0, layers).GroupBy(of).OrderByDescending(kind => kind.Count()).ToArray(); // keeps order within a count
        var variants = kinds.Skip(1).SelectMany(kind => Places([.. kind], layers, new LayerVariant { Attention = kind.Key })).ToArray();
        return (kinds[0].Key, variants.Length == 0 ? null : variants);
    }

    /// <summary>One variant where the layers follow a period to the end, else one for each run.</summary>
    private static IEnumerable<LayerVariant> Places(int[] places, int layers, LayerVariant how)
    {
        var every = places.Length > 1 ? places[1] - places[0] : layers;
        var isPeriodic = every > 1 && places.Length > 1 && places[^1] + every >= layers
            && places.Index().All(place => place.Item == places[0] + (place.Index * every));
        return isPeriodic ? [how with { First = places[0], Every = every }] : Runs(layers, places.Contains, how)!;
    }

    /// <summary>A number above 0 that something is multiplied or divided by.</summary>
    public static double Factor(HuggingFaceConfig config, string key, double? otherwise = null)
    {
        var factor = config.Number(key, otherwise);
        config.Require((float)factor is > 0 and < float.PositiveInfinity, key, factor, "a number above 0");
        return factor;
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
