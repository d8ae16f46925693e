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
/// Gemma 3, and the part of it that reads text where it sees images too: a Gemma 2 that normalises each head's query and key instead of
/// capping scores. Five layers with windows, whose positions have a base of their own, come before each that sees everything.
/// <para>Gemma Team 2025, <see href="https://arxiv.org/abs/2503.19786"/>.</para>
/// </summary>
internal sealed class Gemma3Family : DecoderFamily
{
    private const string WithImages = "gemma3", Positions = "rope_parameters";
    private const double LocalTheta = 10000, GlobalTheta = 1000000;
    private const int Longest = 131072;

    public override string Name => "Gemma 3";

    public override IReadOnlyList<string> ModelTypes => ["gemma3_text", WithImages];

    public override string Architecture => "Gemma3ForCausalLM";

    internal override string? GgufArchitecture => "gemma3";

    public override int Vocabulary(HuggingFaceConfig config) =>
        TextPart(config) is { } text ? text.Whole("vocab_size", 262208) : base.Vocabulary(config);

    public override TensorNames Names(DecoderOptions options)
    {
        var names = LlamaNames.Of(options, otherPrefixes: ["language_model.model.", "model.language_model."]);
        if (options.TieEmbeddings) names.Ignored("language_model.lm_head.weight");
        foreach (var part in new[] { "vision_tower", "multi_modal_projector" })
            foreach (var prefix in new[] { "", "model." }) names.Ignored($"{prefix}{part}.*"); // what reads images
        return names;
    }

    protected override DecoderOptions Read(HuggingFaceConfig config) => ReadText(TextPart(config) ?? config);

    private static DecoderOptions ReadText(HuggingFaceConfig config)
    {
        const string ScoreCap = "attn_logit_softcapping";
        config.Require(!config.Has(ScoreCap), ScoreCap, "a number", "null: this family does not cap scores");
        var common = GemmaConfig.Attention(config) with { QueryKeyNorm = GemmaConfig.Norm(config) };
        var full = common with { Position = Rotary(LayerTypes.Full, new RotaryDefaults(Longest, GlobalTheta)) };
        var window = config.WholeOrNull("sliding_window", 4096);
        var local = Rotary(LayerTypes.Sliding, new RotaryDefaults(Longest, LocalTheta) { ThetaKey = "rope_local_base_freq" });
        var sliding = LlamaConfig.Windowed(common with { Position = local }, window);
        var period = config.Whole("sliding_window_pattern", config.Whole("_sliding_window_pattern", 6));
        var slides = LayerTypes.Read(
            config, config.Layers("num_hidden_layers", 26), window is not null, layer => (layer + 1) % period != 0);
        return GemmaConfig.Model(config, LlamaConfig.Attentions(slides.Length, layer => slides[layer] ? sliding : full), logitCap: 0);

        // Since transformers 5 each kind of layer has its own; before, what was said of scaling was of layers without windows.
        RotaryOptions Rotary(string kind, RotaryDefaults defaults)
        {
            var old = config.Object("rope_scaling");
            var parameters = config.Object(Positions);
            var isByKind = parameters is not null && (parameters.Names(LayerTypes.Full) || parameters.Names(LayerTypes.Sliding));
            var own = isByKind ? parameters!.Object(kind) : kind == LayerTypes.Full ? parameters : null;
            return RotaryConfig.Read(kind == LayerTypes.Full ? old ?? own : own, config, defaults);
        }
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        MultiHeadOptions[] layers =
            [.. Enumerable.Range(0, decoder.Layers).Select(layer => Part<MultiHeadOptions>(decoder.MixerOf(layer).Options, "attention"))];
        var full = layers.FirstOrDefault(layer => LlamaConfig.WindowOf(layer) is null);
        var sliding = layers.FirstOrDefault(layer => LlamaConfig.WindowOf(layer) is not null);
        GemmaConfig.Write(
            options, full ?? sliding!, Part<RmsNormOptions>(decoder.Norm, "norm"), Part<DenseOptions>(decoder.FeedForward, "feedForward"),
            config);
        config["sliding_window"] = LayerTypes.Write(decoder, config);
        var (global, local) = (PositionOf(full), PositionOf(sliding));
        config["max_position_embeddings"] = (global ?? local)!.Positions;
        config[Positions] = new JsonObject
        {
            [LayerTypes.Full] = RotaryConfig.Written(global ?? new RotaryOptions((float)GlobalTheta)),
            [LayerTypes.Sliding] = RotaryConfig.Written(local ?? new RotaryOptions((float)LocalTheta)),
        };
    }

    private RotaryOptions? PositionOf(MultiHeadOptions? attention) =>
        attention is null ? null : Part<RotaryOptions>(attention.Position, "attention.position");

    private static HuggingFaceConfig? TextPart(HuggingFaceConfig config) =>
        config.ModelType != WithImages
            ? null
            : config.Object("text_config") ?? throw config.Problem("text_config", "missing", "an object { … }");
}
