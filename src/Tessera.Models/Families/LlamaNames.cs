using Tessera.Models.Formats;
using Tessera.Nn.Attention;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Experts;
using Tessera.Nn.Mixers;
using Tessera.Nn.Blocks;
using Tessera.Nn.Norms;

namespace Tessera.Models;

/// <summary>How a checkpoint names the feed-forward of a layer with experts.</summary>
/// <param name="Part">What stands for <c>mlp</c>.</param>
/// <param name="Gate">The gate's map in an expert.</param>
/// <param name="Up">The map to the hidden layer.</param>
/// <param name="Down">The map back.</param>
/// <param name="Shared">The experts that every token visits.</param>
internal sealed record ExpertNames(
    string Part = "mlp", string Gate = "gate_proj", string Up = "up_proj", string Down = "down_proj", string Shared = "shared_experts");

/// <summary>The names of tensors that Llama's checkpoints began and most families after it kept.</summary>
internal static class LlamaNames
{
    /// <summary>What all names but the head's begin with.</summary>
    public const string Prefix = "model.";

    /// <summary>The names of a whole model.</summary>
    public static TensorNames Of(DecoderOptions options, ExpertNames? experts = null, IReadOnlyList<string>? otherPrefixes = null)
    {
        var names = new TensorNames { Prefix = Prefix, OtherPrefixes = otherPrefixes ?? [] };
        Ends(names, options);
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
            Layer(names, $"decoder.layers.{layer}.", $"{Prefix}layers.{layer}.", options, layer, experts);
        return names;
    }

    /// <summary>The names before and after the layers.</summary>
    public static void Ends(TensorNames names, DecoderOptions options)
    {
        names.Same("embed_tokens.weight", $"{Prefix}embed_tokens.weight");
        Norm(names, "decoder.norm", $"{Prefix}norm", options.Decoder.Norm);
        // Some checkpoints hold a tied head all the same, and what positions are computed from.
        if (options.TieEmbeddings) names.Ignored("lm_head.weight");
        else names.Same("lm_head.weight", "lm_head.weight");
    }

    /// <summary>The names of a layer.</summary>
    /// <param name="names">Where they go.</param>
    /// <param name="ours">What our names begin with.</param>
    /// <param name="theirs">What the checkpoint's begin with.</param>
    /// <param name="options">The model.</param>
    /// <param name="layer">Which of its layers it is.</param>
    /// <param name="experts">How experts are named.</param>
    public static void Layer(TensorNames names, string ours, string theirs, DecoderOptions options, int layer, ExpertNames? experts = null)
    {
        Norms(names, ours, theirs, options.Decoder);
        names.Ignored($"{theirs}self_attn.rotary_emb.inv_freq");
        Attention(names, $"{ours}attention.", $"{theirs}self_attn.", options.Decoder.MixerOf(layer).Options);
        switch (options.Decoder.FeedForwardOf(layer).Options)
        {
            case DenseOptions dense:
                Dense(names, $"{ours}feed_forward.", $"{theirs}mlp.", dense.Bias);
                break;
            case ExpertsOptions mixture:
                Experts(names, $"{ours}feed_forward.", theirs, mixture, experts ?? new ExpertNames());
                break;
        }
    }

    /// <summary>The names of a layer's norms, which depend on where they stand.</summary>
    public static void Norms(TensorNames names, string ours, string theirs, TransformerOptions stack)
    {
        (string Ours, string Theirs)[] norms = stack.NormPlacement switch
        {
            NormPlacement.ParallelOneNorm => [("input_norm", "input_layernorm")],
            NormPlacement.ResidualPostNorm =>
                [("attention_output_norm", "post_attention_layernorm"), ("feed_forward_output_norm", "post_feedforward_layernorm")],
            NormPlacement.Sandwich =>
            [
                ("input_norm", "input_layernorm"), ("attention_output_norm", "post_attention_layernorm"),
                ("feed_forward_norm", "pre_feedforward_layernorm"), ("feed_forward_output_norm", "post_feedforward_layernorm"),
            ],
            _ => [("input_norm", "input_layernorm"), ("feed_forward_norm", "post_attention_layernorm")],
        };
        foreach (var (our, their) in norms) Norm(names, ours + our, theirs + their, stack.Norm);
    }

    /// <summary>The names of a norm.</summary>
    public static void Norm(TensorNames names, string ours, string theirs, NormOptions norm) =>
        Linear(names, ours, theirs, norm is LayerNormOptions { Bias: true });

    /// <summary>The names of an attention's maps and norms.</summary>
    public static void Attention(TensorNames names, string ours, string theirs, MixerOptions attention)
    {
        switch (attention)
        {
            case MultiHeadOptions masked:
                foreach (var map in new[] { "q_proj", "k_proj", "v_proj" }) Linear(names, ours + map, theirs + map, masked.Bias);
                Linear(names, $"{ours}o_proj", $"{theirs}o_proj", masked.OutputBias ?? masked.Bias);
                if (masked.QueryKeyNorm is null) break;
                foreach (var norm in new[] { "q_norm", "k_norm" }) Linear(names, ours + norm, theirs + norm, bias: false);
                break;
            case LatentOptions latent:
                foreach (var map in latent.QLoraRank is null ? new[] { "q_proj" } : ["q_a_layernorm", "q_b_proj"])
                    Linear(names, ours + map, theirs + map, bias: false);
                if (latent.QLoraRank is not null) Linear(names, $"{ours}q_a_proj", $"{theirs}q_a_proj", latent.Bias);
                foreach (var map in new[] { "kv_a_proj_with_mqa", "o_proj" }) Linear(names, ours + map, theirs + map, latent.Bias);
                foreach (var map in new[] { "kv_a_layernorm", "kv_b_proj" }) Linear(names, ours + map, theirs + map, bias: false);
                break;
        }
    }

    private static void Experts(TensorNames names, string ours, string theirs, ExpertsOptions experts, ExpertNames called)
    {
        var part = $"{theirs}{called.Part}.";
        names.Same($"{ours}router.gate.weight", $"{part}gate.weight");
        if (experts.Router is SigmoidRouterOptions { Bias: true })
            names.Same($"{ours}router.gate.e_score_correction_bias", $"{part}gate.e_score_correction_bias");
        foreach (var (map, name) in new[] { ("gate_proj", called.Gate), ("up_proj", called.Up), ("down_proj", called.Down) })
            names.Stacked($"{ours}experts.{map}", $"{part}experts.{{0}}.{name}.weight", experts.Routed);
        if (experts.SharedCount > 0) Dense(names, $"{ours}shared_experts.", $"{part}{called.Shared}.", experts.SharedBias);
        else names.Ignored($"{part}{called.Shared}.*"); // of no width
        if (experts.SharedGate) names.Same($"{ours}shared_experts.gate.weight", $"{part}{called.Shared}_gate.weight");
    }

    private static void Dense(TensorNames names, string ours, string theirs, bool bias)
    {
        foreach (var map in new[] { "gate_proj", "up_proj", "down_proj" }) Linear(names, ours + map, theirs + map, bias);
    }

    /// <summary>The names of a weight and, where there is one, its bias.</summary>
    public static void Linear(TensorNames names, string ours, string theirs, bool bias)
    {
        names.Same($"{ours}.weight", $"{theirs}.weight");
        if (bias) names.Same($"{ours}.bias", $"{theirs}.bias");
    }
}
