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
/// Command R7B and Command A: a Command R whose layers look back no further than a window, but for every fourth, which sees everything
/// and has no positions.
/// <para>Team Cohere 2025, <see href="https://arxiv.org/abs/2504.00698"/>.</para>
/// </summary>
internal sealed class Cohere2Family : DecoderFamily
{
    private const double Theta = 10000;

    public override string Name => "Cohere2";

    public override IReadOnlyList<string> ModelTypes => ["cohere2"];

    public override string Architecture => "Cohere2ForCausalLM";

    internal override string? GgufArchitecture => "cohere2";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        config.Require(!config.Truth("use_qk_norm", false), "use_qk_norm", "true", "false: this family has no norms of queries and keys");
        var full = CohereFamily.Attention(config);
        var window = config.WholeOrNull("sliding_window", 4096);
        var sliding = LlamaConfig.Windowed(full with { Position = CohereFamily.Rotary(config, Theta) }, window);
        var period = config.Whole("sliding_window_pattern", config.Whole("_sliding_window_pattern", 4));
        var slides = LayerTypes.Read(
            config, config.Layers("num_hidden_layers", 40), window is not null, layer => (layer + 1) % period != 0);
        return CohereFamily.Model(config, LlamaConfig.Attentions(slides.Length, layer => slides[layer] ? sliding : full));
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        MultiHeadOptions[] layers =
            [.. Enumerable.Range(0, decoder.Layers).Select(layer => Part<MultiHeadOptions>(decoder.MixerOf(layer).Options, "attention"))];
        var sliding = layers.FirstOrDefault(layer => layer.Position is not null);
        CohereFamily.WriteModel(
            options, sliding ?? layers[0], Part<LayerNormOptions>(decoder.Norm, "norm"),
            Part<DenseOptions>(decoder.FeedForward, "feedForward"), config);
        config["sliding_window"] = LayerTypes.Write(decoder, config);
        var rotary = sliding is null ? new RotaryOptions((float)Theta) : Part<RotaryOptions>(sliding.Position, "attention.position");
        RotaryConfig.Write(rotary, config);
    }
}
