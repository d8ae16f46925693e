using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// SmolLM3: a Llama whose every fourth layer has no rotary positions (NoPE); layers may look back no further than a window.
/// <para>Bakouch et al. 2025, "SmolLM3: smol, multilingual, long-context reasoner"; Yang et al. 2025,
/// <see href="https://arxiv.org/abs/2501.18795"/>.</para>
/// </summary>
internal sealed class SmolLm3Family : DecoderFamily
{
    private const string NoRopeLayers = "no_rope_layers";

    public override string Name => "SmolLM3";

    public override IReadOnlyList<string> ModelTypes => ["smollm3"];

    public override string Architecture => "SmolLM3ForCausalLM";

    internal override string? GgufArchitecture => "smollm3";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var layers = config.Layers("num_hidden_layers", 36);
        var hasRotary = RotaryLayers(config, layers);
        var window = config.Truth("use_sliding_window", false) ? config.WholeOrNull("sliding_window") : null;
        var slides = LayerTypes.Read(
            config, layers, window is not null, layer => !hasRotary[layer], "there is no sliding_window, or use_sliding_window is false");
        var full = new MultiHeadOptions(config.Whole("num_attention_heads", 16))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads", 4),
            HeadWidth = config.WholeOrNull("head_dim"),
            Bias = config.Truth("attention_bias", false),
            Position = RotaryConfig.Read(config, 32768, 2000000),
        };
        var sliding = LlamaConfig.Windowed(full, window);
        var (attention, variants) = LlamaConfig.Attentions(layers, layer =>
        {
            var own = slides[layer] ? sliding : full;
            return hasRotary[layer] ? own : own with { Position = null };
        });
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2048),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", true),
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = attention,
                Variants = variants,
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 11008), config.Truth("mlp_bias", false)),
            },
        };
    }

    /// <summary>Whether each layer has rotary positions. The list is called after those that do not, and has 1 for those that do.</summary>
    private static bool[] RotaryLayers(HuggingFaceConfig config, int layers)
    {
        var interval = config.Whole("no_rope_layer_interval", 4);
        if (config.Wholes(NoRopeLayers) is not { } said) return [.. Enumerable.Range(1, layers).Select(layer => layer % interval != 0)];
        config.Require(said.Count >= layers, NoRopeLayers, $"a list of {said.Count}", $"one for each of the {layers} layers");
        return [.. said.Take(layers).Select(has => has != 0)];
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        MultiHeadOptions[] layers =
            [.. Enumerable.Range(0, decoder.Layers).Select(layer => Part<MultiHeadOptions>(decoder.MixerOf(layer).Options, "attention"))];
        var attention = layers.FirstOrDefault(layer => layer.Position is not null) ?? layers[0];
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config[NoRopeLayers] = new JsonArray([.. layers.Select(layer => JsonValue.Create(layer.Position is null ? 0 : 1))]);
        var window = LayerTypes.Write(decoder, config);
        config["use_sliding_window"] = window is not null;
        config["sliding_window"] = window;
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        config["mlp_bias"] = feedForward.Bias;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
