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
/// StarCoder2: layer norms, biases everywhere, GELU without a gate, grouped-query attention with rotary positions that may look back no
/// further than a window.
/// <para>Lozhkov et al. 2024, <see href="https://arxiv.org/abs/2402.19173"/>.</para>
/// </summary>
internal sealed class Starcoder2Family : DecoderFamily
{
    public override string Name => "StarCoder2";

    public override IReadOnlyList<string> ModelTypes => ["starcoder2"];

    public override string Architecture => "Starcoder2ForCausalLM";

    internal override string? GgufArchitecture => "starcoder2";

    public override TensorNames Names(DecoderOptions options)
    {
        const string prefix = LlamaNames.Prefix;
        var names = new TensorNames { Prefix = prefix };
        LlamaNames.Ends(names, options);
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
        {
            var (ours, theirs) = ($"decoder.layers.{layer}.", $"{prefix}layers.{layer}.");
            LlamaNames.Norms(names, ours, theirs, options.Decoder);
            LlamaNames.Attention(names, $"{ours}attention.", $"{theirs}self_attn.", options.Decoder.MixerOf(layer).Options);
            var bias = Part<DenseOptions>(options.Decoder.FeedForwardOf(layer).Options, "feedForward").Bias;
            LlamaNames.Linear(names, $"{ours}feed_forward.up_proj", $"{theirs}mlp.c_fc", bias);
            LlamaNames.Linear(names, $"{ours}feed_forward.down_proj", $"{theirs}mlp.c_proj", bias);
        }

        return names;
    }

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var bias = config.Truth("use_bias", true);
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 24))
        {
            KeyValueHeads = config.Whole("num_key_value_heads", 2),
            HeadWidth = config.WholeOrNull("head_dim"),
            Bias = bias,
            Position = RotaryConfig.Read(config, 4096),
        };
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 3072),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", true),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 30),
                Norm = new LayerNormOptions((float)config.Number("norm_epsilon", 1e-5)),
                Attention = LlamaConfig.Windowed(attention, config.WholeOrNull("sliding_window")),
                FeedForward = ActivationConfig.Plain(
                    config, "hidden_act", "gelu_pytorch_tanh", config.Whole("intermediate_size", 12288), bias),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["norm_epsilon"] = Part<LayerNormOptions>(decoder.Norm, "norm").Epsilon;
        config["use_bias"] = attention.Bias;
        config["sliding_window"] = LlamaConfig.WindowOf(attention);
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
