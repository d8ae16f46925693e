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
/// Phi-3 and Phi-4: a Llama whose maps to queries, keys and values lie in one matrix, as do those to the gate and the hidden layer. Models
/// for long texts stretch their positions by LongRoPE; some turn a part of each head.
/// <para>Abdin et al. 2024, <see href="https://arxiv.org/abs/2404.14219"/>; LongRoPE: Ding et al. 2024,
/// <see href="https://arxiv.org/abs/2402.13753"/>.</para>
/// </summary>
internal sealed class Phi3Family : DecoderFamily
{
    private const string TrainedLength = "original_max_position_embeddings";
    private const int UsualLength = 4096;

    public override string Name => "Phi-3";

    public override IReadOnlyList<string> ModelTypes => ["phi3"];

    public override string Architecture => "Phi3ForCausalLM";

    internal override string? GgufArchitecture => "phi3";

    public override TensorNames Names(DecoderOptions options)
    {
        const string prefix = LlamaNames.Prefix;
        var names = new TensorNames { Prefix = prefix };
        LlamaNames.Ends(names, options);
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
        {
            var (ours, theirs) = ($"decoder.layers.{layer}.", $"{prefix}layers.{layer}.");
            LlamaNames.Norms(names, ours, theirs, options.Decoder);
            var (heads, keyValueHeads, headWidth) =
                Part<MultiHeadOptions>(options.Decoder.MixerOf(layer).Options, "attention").SizesIn(options.Width);
            var (queries, keys) = (heads * headWidth, keyValueHeads * headWidth);
            foreach (var (map, first) in new[] { ("q_proj", 0), ("k_proj", queries), ("v_proj", queries + keys) })
                names.Rows($"{ours}attention.{map}.weight", $"{theirs}self_attn.qkv_proj.weight", first, queries + (2 * keys));
            names.Same($"{ours}attention.o_proj.weight", $"{theirs}self_attn.o_proj.weight");
            var hidden = Part<DenseOptions>(options.Decoder.FeedForwardOf(layer).Options, "feedForward").HiddenAt(options.Width);
            foreach (var (map, first) in new[] { ("gate_proj", 0), ("up_proj", hidden) })
                names.Rows($"{ours}feed_forward.{map}.weight", $"{theirs}mlp.gate_up_proj.weight", first, 2 * hidden);
            names.Same($"{ours}feed_forward.down_proj.weight", $"{theirs}mlp.down_proj.weight");
            names.Ignored($"{theirs}self_attn.rotary_emb.inv_freq");
        }

        return names;
    }

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var width = config.Whole("hidden_size", 3072);
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads"), HeadWidth = config.WholeOrNull("head_dim"),
        };
        attention = attention with
        {
            Position = RotaryConfig.Read(config, new RotaryDefaults(UsualLength)
            {
                HeadWidth = attention.SizesIn(width).HeadWidth, TrainedLength = UsualLength,
            }),
        };
        return new DecoderOptions
        {
            Width = width,
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 32),
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5)),
                Attention = LlamaConfig.Windowed(attention, config.WholeOrNull("sliding_window")),
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 8192)),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        var rotary = Part<RotaryOptions>(attention.Position, "attention.position");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["sliding_window"] = LlamaConfig.WindowOf(attention);
        config["intermediate_size"] = feedForward.Hidden;
        config[TrainedLength] = rotary.Scaling is LongScaling { TrainedLength: var trained } ? trained : UsualLength;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(rotary, config, attention.SizesIn(options.Width).HeadWidth);
    }
}
