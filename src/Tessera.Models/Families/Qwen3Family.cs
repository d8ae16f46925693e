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
/// Qwen 3: a Llama that normalises each head's query and key; some of its layers may look back no further than a window.
/// <para>Yang et al. 2025, <see href="https://arxiv.org/abs/2505.09388"/>.</para>
/// </summary>
internal sealed class Qwen3Family : DecoderFamily
{
    public override string Name => "Qwen3";

    public override IReadOnlyList<string> ModelTypes => ["qwen3"];

    public override string Architecture => "Qwen3ForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6));
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads", 32),
            HeadWidth = config.WholeOrNull("head_dim", 128),
            Bias = config.Truth("attention_bias", false),
            QueryKeyNorm = norm,
            Position = RotaryConfig.Read(config, 32768),
        };
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 4096),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = QwenWindows.Read(config, new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 32),
                Norm = norm,
                Attention = attention,
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 22016)),
            }),
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        QwenWindows.Write(decoder, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
