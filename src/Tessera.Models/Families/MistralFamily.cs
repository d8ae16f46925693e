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
/// Mistral: a Llama without biases whose layers may all look back no further than a window.
/// <para>Jiang et al. 2023, <see href="https://arxiv.org/abs/2310.06825"/>.</para>
/// </summary>
internal sealed class MistralFamily : DecoderFamily
{
    public override string Name => "Mistral";

    public override IReadOnlyList<string> ModelTypes => ["mistral"];

    public override string Architecture => "MistralForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads", 8),
            HeadWidth = config.WholeOrNull("head_dim"),
            Position = RotaryConfig.Read(config, 131072),
        };
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 4096),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 32),
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = LlamaConfig.Windowed(attention, config.WholeOrNull("sliding_window", 4096)),
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 14336)),
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
        config["sliding_window"] = LlamaConfig.WindowOf(attention);
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
