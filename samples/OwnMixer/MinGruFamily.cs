using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;

namespace OwnMixer;

/// <summary>
/// Decoders of <see cref="MinGru"/> layers with SwiGLU and RMS norms, as folders with a <c>config.json</c> whose <c>model_type</c> is
/// <c>min_gru</c>: <c>hidden_size</c>, <c>num_hidden_layers</c>, <c>state_size</c>, <c>intermediate_size</c>, <c>rms_norm_eps</c> and
/// <c>embedding_scale</c>.
/// </summary>
public sealed class MinGruFamily : DecoderFamily
{
    /// <inheritdoc/>
    public override string Name => "MinGRU";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["min_gru"];

    /// <inheritdoc/>
    public override string Architecture => "MinGruForCausalLM";

    /// <inheritdoc/>
    public override TensorNames Names(DecoderOptions options)
    {
        var names = new TensorNames { Prefix = "model." };
        names.Same("embed_tokens.weight", "model.embed_tokens.weight");
        names.Same("decoder.norm.weight", "model.norm.weight");
        if (options.TieEmbeddings) names.Ignored("lm_head.weight");
        else names.Same("lm_head.weight", "lm_head.weight");
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
        {
            var (ours, theirs) = ($"decoder.layers.{layer}.", $"model.layers.{layer}.");
            names.Same($"{ours}input_norm.weight", $"{theirs}mixer_norm.weight");
            names.Same($"{ours}mixer.z_proj.weight", $"{theirs}mixer.to_z.weight");
            names.Same($"{ours}mixer.z_proj.bias", $"{theirs}mixer.to_z.bias");
            names.Same($"{ours}mixer.h_proj.weight", $"{theirs}mixer.to_h.weight");
            names.Same($"{ours}mixer.o_proj.weight", $"{theirs}mixer.to_out.weight");
            names.Same($"{ours}feed_forward_norm.weight", $"{theirs}mlp_norm.weight");
            foreach (var map in (string[])["gate_proj", "up_proj", "down_proj"])
                names.Same($"{ours}feed_forward.{map}.weight", $"{theirs}mlp.{map}.weight");
        }

        return names;
    }

    /// <inheritdoc/>
    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var width = config.Whole("hidden_size");
        var scale = config.Number("embedding_scale", 1);
        config.Require(scale > 0, "embedding_scale", scale, "greater than 0");
        return new DecoderOptions
        {
            Width = width,
            EmbeddingScale = (float)scale,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 12),
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = new MinGruOptions(config.WholeOrNull("state_size")),
                FeedForward = new SwiGluOptions(config.WholeOrNull("intermediate_size")),
            },
        };
    }

    /// <inheritdoc/>
    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        config["hidden_size"] = options.Width;
        config["embedding_scale"] = options.EmbeddingScale ?? MathF.Sqrt(options.Width);
        config["num_hidden_layers"] = decoder.Layers.Count;
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["state_size"] = Part<MinGruOptions>(decoder.Attention, "attention").Hidden ?? options.Width;
        config["intermediate_size"] = Part<SwiGluOptions>(decoder.FeedForward, "feedForward").Hidden;
    }
}
