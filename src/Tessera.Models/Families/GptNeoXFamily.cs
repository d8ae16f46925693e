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
/// GPT-NeoX and Pythia: attention and feed-forward read the same hidden states, each through a layer norm of its own; a part of each head
/// has rotary positions. Its checkpoints keep queries, keys and values in one matrix, head by head.
/// <para>Black et al. 2022, <see href="https://arxiv.org/abs/2204.06745"/>; Biderman et al. 2023,
/// <see href="https://arxiv.org/abs/2304.01373"/>.</para>
/// </summary>
internal sealed class GptNeoXFamily : DecoderFamily
{
    private const string Prefix = "gpt_neox.";

    public override string Name => "GPT-NeoX";

    public override IReadOnlyList<string> ModelTypes => ["gpt_neox"];

    public override string Architecture => "GPTNeoXForCausalLM";

    internal override string? GgufArchitecture => "gptneox";

    public override TensorNames Names(DecoderOptions options)
    {
        var names = new TensorNames { Prefix = Prefix };
        names.Same("embed_tokens.weight", $"{Prefix}embed_in.weight");
        LlamaNames.Norm(names, "decoder.norm", $"{Prefix}final_layer_norm", options.Decoder.Norm);
        if (options.TieEmbeddings) names.Ignored("embed_out.weight");
        else names.Same("lm_head.weight", "embed_out.weight");
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
        {
            var (ours, theirs) = ($"decoder.layers.{layer}.", $"{Prefix}layers.{layer}.");
            LlamaNames.Norms(names, ours, theirs, options.Decoder);
            Attention(names, ours, theirs, Part<MultiHeadOptions>(options.Decoder.MixerOf(layer).Options, "attention"), options.Width);
            var bias = Part<DenseOptions>(options.Decoder.FeedForwardOf(layer).Options, "feedForward").Bias;
            LlamaNames.Linear(names, $"{ours}feed_forward.up_proj", $"{theirs}mlp.dense_h_to_4h", bias);
            LlamaNames.Linear(names, $"{ours}feed_forward.down_proj", $"{theirs}mlp.dense_4h_to_h", bias);
        }

        return names;
    }

    private static void Attention(TensorNames names, string ours, string theirs, MultiHeadOptions attention, int width)
    {
        var heads = attention.SizesIn(width).Heads;
        foreach (var (map, part) in new[] { ("q_proj", 0), ("k_proj", 1), ("v_proj", 2) })
            foreach (var end in (string[])["weight", .. attention.Bias ? (string[])["bias"] : []])
                names.HeadRows($"{ours}attention.{map}.{end}", $"{theirs}attention.query_key_value.{end}", heads, part, parts: 3);
        LlamaNames.Linear(names, $"{ours}attention.o_proj", $"{theirs}attention.dense", attention.OutputBias ?? attention.Bias);
        // Masks and what positions are computed from, which older checkpoints hold.
        foreach (var old in new[] { "bias", "masked_bias", "rotary_emb.inv_freq" }) names.Ignored($"{theirs}attention.{old}");
    }

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var (width, heads) = (config.Whole("hidden_size", 6144), config.Whole("num_attention_heads", 64));
        config.Require(width % heads == 0, "num_attention_heads", heads, $"a divisor of hidden_size, {width}");
        return new DecoderOptions
        {
            Width = width,
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 44),
                Norm = new LayerNormOptions((float)config.Number("layer_norm_eps", 1e-5)),
                NormPlacement = config.Truth("use_parallel_residual", true) ? NormPlacement.Parallel : NormPlacement.PreNorm,
                Attention = new MultiHeadOptions(heads)
                {
                    Bias = config.Truth("attention_bias", true),
                    Position = RotaryConfig.Read(config, new RotaryDefaults(2048)
                    {
                        HeadWidth = width / heads, Share = 0.25, ShareKey = "rotary_pct", ThetaKey = "rotary_emb_base",
                    }),
                },
                FeedForward = ActivationConfig.Plain(config, "hidden_act", "gelu", config.Whole("intermediate_size", 24576), bias: true),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        var (heads, _, headWidth) = attention.SizesIn(options.Width);
        config["hidden_size"] = options.Width;
        config["num_hidden_layers"] = decoder.Layers.Count;
        config["num_attention_heads"] = heads;
        config["layer_norm_eps"] = Part<LayerNormOptions>(decoder.Norm, "norm").Epsilon;
        config["use_parallel_residual"] = decoder.NormPlacement == NormPlacement.Parallel;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config, headWidth);
    }
}
