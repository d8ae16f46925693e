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
/// OLMo 2: norms after the parts of a layer, not before them; queries and keys are normalised over all heads together.
/// <para>Team OLMo 2025, <see href="https://arxiv.org/abs/2501.00656"/>.</para>
/// </summary>
internal sealed class Olmo2Family : DecoderFamily
{
    public override string Name => "OLMo 2";

    public override IReadOnlyList<string> ModelTypes => ["olmo2"];

    public override string Architecture => "Olmo2ForCausalLM";

    internal override string? GgufArchitecture => "olmo2";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5));
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 4096),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 32),
                Norm = norm,
                NormPlacement = NormPlacement.ResidualPostNorm,
                Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
                {
                    KeyValueHeads = config.WholeOrNull("num_key_value_heads"),
                    HeadWidth = config.WholeOrNull("head_dim"),
                    Bias = config.Truth("attention_bias", false),
                    QueryKeyNorm = norm,
                    WholeQueryKeyNorm = true,
                    Position = RotaryConfig.Read(config, 2048),
                },
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 11008)),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
