using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// Mixtral: a Mistral whose layers have experts, of which the chosen ones' gates are divided by their sum.
/// <para>Jiang et al. 2024, <see href="https://arxiv.org/abs/2401.04088"/>.</para>
/// </summary>
internal sealed class MixtralFamily : DecoderFamily
{
    private static readonly ExpertNames s_experts = new("block_sparse_moe", Gate: "w1", Up: "w3", Down: "w2");

    public override string Name => "Mixtral";

    public override IReadOnlyList<string> ModelTypes => ["mixtral"];

    public override string Architecture => "MixtralForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options, s_experts);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads", 8),
            HeadWidth = config.WholeOrNull("head_dim"),
            Position = RotaryConfig.Read(config, 131072, theta: 1e6),
        };
        var expert = ActivationConfig.Gated(config, config.Whole("intermediate_size", 14336));
        var experts = config.Whole(config.Names("num_experts") ? "num_experts" : "num_local_experts", 8);
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 4096),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 32),
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5)),
                Attention = LlamaConfig.Windowed(attention, config.WholeOrNull("sliding_window")),
                FeedForward = new ExpertsOptions(experts, config.Whole("num_experts_per_tok", 2), expert)
                {
                    Router = new SoftmaxRouterOptions(Normalise: true),
                },
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var experts = Part<ExpertsOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["sliding_window"] = LlamaConfig.WindowOf(attention);
        config["intermediate_size"] = experts.Expert.Hidden;
        config["num_local_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        ActivationConfig.Write(experts.Expert, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
