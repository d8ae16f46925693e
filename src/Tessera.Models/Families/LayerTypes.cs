using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Blocks;

namespace Tessera.Models;

/// <summary>Which layers of a model look back no further than a window: <c>layer_types</c> of a <c>config.json</c>.</summary>
internal static class LayerTypes
{
    /// <summary>What <c>layer_types</c> calls a layer without a window, and one with.</summary>
    public const string Full = "full_attention", Sliding = "sliding_attention";

    /// <summary>Whether each layer has a window.</summary>
    /// <param name="config">The config.</param>
    /// <param name="layers">How many layers there are.</param>
    /// <param name="hasWindow">Whether there is a window that layers could have.</param>
    /// <param name="otherwise">Whether a layer has one where the key is absent.</param>
    /// <param name="whyNone">Why there is no window, for messages.</param>
    public static bool[] Read(
        HuggingFaceConfig config, int layers, bool hasWindow, Func<int, bool> otherwise, string whyNone = "there is no sliding_window")
    {
        if (config.Texts("layer_types") is not { } types)
            return [.. Enumerable.Range(0, layers).Select(layer => hasWindow && otherwise(layer))];
        config.Require(types.Count == layers, "layer_types", $"a list of {types.Count}", $"one for each of the {layers} layers");
        for (var layer = 0; layer < types.Count; layer++)
        {
            config.Require(types[layer] is Full or Sliding, $"layer_types[{layer}]", types[layer], $"{Full}, {Sliding}");
            config.Require(types[layer] == Full || hasWindow, $"layer_types[{layer}]", types[layer], $"{Full}, since {whyNone}");
        }

        return [.. types.Select(type => type == Sliding)];
    }

    /// <summary>Writes which layers have windows.</summary>
    /// <returns>The window of the first layer that has one.</returns>
    public static int? Write(TransformerOptions stack, JsonObject config)
    {
        config["layer_types"] = new JsonArray([
            .. Enumerable.Range(0, stack.Layers).Select(
                layer => JsonValue.Create(LlamaConfig.WindowOf(stack.MixerOf(layer).Options) is null ? Full : Sliding))]);
        return LlamaConfig.FirstWindow(stack);
    }
}
