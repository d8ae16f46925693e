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
/// Gemma 2: norms before and after each part, which multiply by one more than their weights; every second layer looks back no further
/// than a window; scores and logits have soft caps; embeddings are multiplied by the root of their width.
/// <para>Gemma Team 2024, <see href="https://arxiv.org/abs/2408.00118"/>.</para>
/// </summary>
internal sealed class Gemma2Family : DecoderFamily
{
    public override string Name => "Gemma 2";

    public override IReadOnlyList<string> ModelTypes => ["gemma2"];

    public override string Architecture => "Gemma2ForCausalLM";

    internal override string? GgufArchitecture => "gemma2";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var full = GemmaConfig.Attention(config) with
        {
            SoftCap = GemmaConfig.Cap(config, "attn_logit_softcapping", 50), Position = RotaryConfig.Read(config, 8192),
        };
        var window = config.WholeOrNull("sliding_window", 4096);
        var sliding = LlamaConfig.Windowed(full, window);
        var slides = LayerTypes.Read(config, config.Layers("num_hidden_layers", 26), window is not null, layer => layer % 2 == 0);
        return GemmaConfig.Model(config, LlamaConfig.Attentions(slides.Length, layer => slides[layer] ? sliding : full), logitCap: 30);
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.MixerOf(0).Options, "attention");
        GemmaConfig.Write(
            options, attention, Part<RmsNormOptions>(decoder.Norm, "norm"), Part<DenseOptions>(decoder.FeedForward, "feedForward"), config);
        config["attn_logit_softcapping"] = attention.SoftCap == 0 ? null : attention.SoftCap;
        config["sliding_window"] = LayerTypes.Write(decoder, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
