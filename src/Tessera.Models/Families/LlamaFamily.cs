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
/// Llama 1 to 3: layers with RMS norms before their parts, grouped-query attention with rotary positions, a SwiGLU. Llama 3 stretches its
/// positions and may tie its embeddings.
/// <para>Touvron et al. 2023, <see href="https://arxiv.org/abs/2307.09288"/>; Grattafiori et al. 2024,
/// <see href="https://arxiv.org/abs/2407.21783"/>.</para>
/// </summary>
internal sealed class LlamaFamily : DecoderFamily
{
    public override string Name => "Llama";

    public override IReadOnlyList<string> ModelTypes => ["llama"];

    public override string Architecture => "LlamaForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config) => new()
    {
        Width = config.Whole("hidden_size", 4096),
        EmbeddingScale = 1,
        TieEmbeddings = config.Truth("tie_word_embeddings", false),
        Decoder = new TransformerOptions
        {
            Layers = config.Layers("num_hidden_layers", 32),
            Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
            Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
            {
                KeyValueHeads = config.WholeOrNull("num_key_value_heads"),
                HeadWidth = config.WholeOrNull("head_dim"),
                Bias = config.Truth("attention_bias", false),
                Position = RotaryConfig.Read(config, 2048),
            },
            FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 11008), config.Truth("mlp_bias", false)),
        },
    };

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        config["mlp_bias"] = feedForward.Bias;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
