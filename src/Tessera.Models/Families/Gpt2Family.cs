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
/// GPT-2: learned positions, layer norms before the parts of a layer, biases everywhere, GELU without a gate, tied embeddings. Its
/// checkpoints keep matrices as [inputs, outputs], queries, keys and values side by side.
/// <para>Radford et al. 2019, "Language models are unsupervised multitask learners".</para>
/// </summary>
internal sealed class Gpt2Family : DecoderFamily
{
    public override string Name => "GPT-2";

    public override IReadOnlyList<string> ModelTypes => ["gpt2"];

    public override string Architecture => "GPT2LMHeadModel";

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        config.Require(!config.Truth("add_cross_attention", false), "add_cross_attention", "true", "false");
        var (width, layers, heads) = (config.Whole("n_embd", 768), config.Layers("n_layer", 12), config.Whole("n_head", 12));
        config.Require(width % heads == 0, "n_head", heads, $"a divisor of n_embd, {width}");
        var scale = config.Truth("scale_attn_weights", true) ? (float?)null : 1;
        var attention = new MultiHeadOptions(heads) { Bias = true, ScoreScale = scale };
        // Later layers may have softer scores still, each a scale of its own.
        var variants = !config.Truth("scale_attn_by_inverse_layer_idx", false)
            ? null
            : Enumerable.Range(1, layers - 1).Select(layer => new LayerVariant
            {
                First = layer, Last = layer, Attention = attention with { ScoreScale = ScoreScale(scale, width / heads, layer) },
            }).ToArray();
        return new DecoderOptions
        {
            Width = width,
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", true),
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = new LayerNormOptions((float)config.Number("layer_norm_epsilon", 1e-5)),
                Position = new LearnedOptions(config.Whole("n_positions", 1024)),
                Attention = attention,
                FeedForward = ActivationConfig.Plain(
                    config, "activation_function", "gelu_new", config.WholeOrNull("n_inner") ?? 4 * width, bias: true),
                Variants = variants,
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.MixerOf(0).Options, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        config["n_embd"] = options.Width;
        config["n_layer"] = decoder.Layers.Count;
        config["n_head"] = attention.SizesIn(options.Width).Heads;
        config["n_positions"] = Part<LearnedOptions>(decoder.Position, "position").Positions;
        config["n_inner"] = feedForward.Hidden;
        config["layer_norm_epsilon"] = Part<LayerNormOptions>(decoder.Norm, "norm").Epsilon;
        config["scale_attn_weights"] = attention.ScoreScale is null || attention.ScoreScale != 1;
        config["scale_attn_by_inverse_layer_idx"] =
            decoder.Layers > 1 && decoder.MixerOf(1).Options is MultiHeadOptions second && second.ScoreScale != attention.ScoreScale;
        foreach (var key in new[] { "resid_pdrop", "embd_pdrop" }) config[key] = decoder.Dropout;
        config["attn_pdrop"] = 0;
        ActivationConfig.Write(feedForward, config, "activation_function");
    }

    public override TensorNames Names(DecoderOptions options)
    {
        const string prefix = "transformer.";
        var names = new TensorNames { Prefix = prefix };
        names.Same("embed_tokens.weight", $"{prefix}wte.weight");
        names.Same("decoder.position.weight", $"{prefix}wpe.weight");
        Both("decoder.norm", $"{prefix}ln_f");
        if (options.TieEmbeddings) names.Ignored("lm_head.weight");
        else names.Same("lm_head.weight", "lm_head.weight");
        for (var layer = 0; layer < options.Decoder.Layers; layer++) Layer($"decoder.layers.{layer}.", $"{prefix}h.{layer}.");
        return names;

        void Layer(string ours, string theirs)
        {
            Both($"{ours}input_norm", $"{theirs}ln_1");
            Both($"{ours}feed_forward_norm", $"{theirs}ln_2");
            foreach (var (map, part) in new[] { ("q_proj", 0), ("k_proj", 1), ("v_proj", 2) })
            {
                names.Rows(
                    $"{ours}attention.{map}.weight", $"{theirs}attn.c_attn.weight", part * options.Width, 3 * options.Width,
                    transposed: true);
                names.Rows($"{ours}attention.{map}.bias", $"{theirs}attn.c_attn.bias", part * options.Width, 3 * options.Width);
            }

            foreach (
                var (map, name) in new[]
                {
                    ("attention.o_proj", "attn.c_proj"),
                    ("feed_forward.up_proj", "mlp.c_fc"),
                    ("feed_forward.down_proj", "mlp.c_proj"),
                })
            {
                names.Transposed($"{ours}{map}.weight", $"{theirs}{name}.weight");
                names.Same($"{ours}{map}.bias", $"{theirs}{name}.bias");
            }

            // Masks that older checkpoints hold.
            names.Ignored($"{theirs}attn.bias");
            names.Ignored($"{theirs}attn.masked_bias");
        }

        void Both(string ours, string theirs)
        {
            names.Same($"{ours}.weight", $"{theirs}.weight");
            names.Same($"{ours}.bias", $"{theirs}.bias");
        }
    }

    private static float ScoreScale(float? scale, int headWidth, int layer) => (scale ?? 1 / MathF.Sqrt(headWidth)) / (layer + 1);
}
