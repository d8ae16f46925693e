using System.IO.Enumeration;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models;

/// <summary>A part of a model that its configuration shows.</summary>
/// <param name="Name">What it is, such as <c>mixer (state space)</c>.</param>
/// <param name="Runs">Whether there is such a part here.</param>
/// <param name="Keys">The keys that show it.</param>
public sealed record ShownPart(string Name, bool Runs, IReadOnlyList<string> Keys);

/// <summary>What the configuration of a model shows of its parts, whether or not a family here reads it: for people who want to know what
/// is missing.</summary>
public static class ShownParts
{
    private const string TextConfig = "text_config";

    /// <summary>Keys of config.json, and of GGUF's metadata without the architecture, by the part that they show.</summary>
    private static readonly (string Name, bool Runs, string[] Keys)[] s_parts =
    [
        ("mixer (state space)", false,
            ["state_size", "d_state", "ssm_*", "mamba_*", "time_step_rank", "time_step_limit", "ssm.*"]),
        ("mixer (gated delta rule)", false, ["linear_num_key_heads", "linear_key_head_dim", "linear_attn_config"]),
        ("mixer (RWKV's time mixing)", false, ["attention_hidden_size", "rwkv_*", "wkv.*", "time_mix_extra_dim", "time_decay_extra_dim"]),
        ("mixer (gated linear recurrence)", false, ["lru_width"]),
        ("mixer (short convolution)", false, ["conv_L_cache", "shortconv.*"]),
        ("choice of keys by an indexer (sparse attention)", false, ["index_topk", "index_n_heads", "attention.indexer.*"]),
        ("attention sorted by hashes", false, ["lsh_attn_chunk_length", "num_hashes"]),
        ("input of images", false, ["vision_config", "vision_tower", "image_token_id", "image_token_index", "visual"]),
        ("input of sounds", false, ["audio_config", "num_mel_bins", "audio_token_id"]),
        ("positions of images (M-RoPE)", false, ["mrope_section", "rope.dimension_sections"]),
        ("embeddings of each layer", false, ["hidden_size_per_layer_input", "embedding_length_per_layer_input"]),
        ("residual streams beside one another", false, ["altup_num_inputs", "hc_mult", "altup.*", "hyper_connection.*"]),
        ("layers that share keys and values", false, ["num_kv_shared_layers", "attention.shared_kv_layers"]),
        ("latent attention", true, ["kv_lora_rank", "attention.kv_lora_rank"]),
        ("attention of heads", true, ["num_attention_heads", "n_head", "attention.head_count"]),
        ("windows", true, ["sliding_window", "attention.sliding_window"]),
        ("rotary positions", true, ["rope_theta", "rope_parameters", "rope_scaling", "rotary_emb_base", "rope.freq_base"]),
        ("ALiBi", true, ["alibi", "attention.max_alibi_bias"]),
        ("relative positions in buckets", true, ["relative_attention_num_buckets", "attention.relative_buckets_count"]),
        ("experts", true, ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "expert_count"]),
        ("dense feed-forwards", true, ["intermediate_size", "ffn_dim", "n_inner", "d_ff", "feed_forward_length"]),
        ("RMS norms", true, ["rms_norm_eps", "norm_eps", "attention.layer_norm_rms_epsilon"]),
        ("layer norms", true, ["layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "attention.layer_norm_epsilon"]),
    ];

    private static readonly string[] s_layerKeys = ["layer_types", "layers_block_type", "block_types"];
    private static readonly string[] s_layerKinds = ["full_attention", "sliding_attention", "chunked_attention", "attention"];
    private static readonly string[] s_activationKeys = ["hidden_act", "hidden_activation", "activation_function"];

    /// <summary>The parts that a <c>config.json</c> shows, those that are missing here first.</summary>
    public static IReadOnlyList<ShownPart> Of(HuggingFaceConfig config)
    {
        var places = new List<HuggingFaceConfig> { config };
        foreach (var key in new[] { TextConfig, "rope_parameters", "rope_scaling" })
            if (config.IsObject(key)) places.Add(config.Object(key)!);
        var parts = Of([.. places.SelectMany(place => place.Keys.Where(key => place.Says(key) && !place.IsZero(key)))]);
        foreach (var place in places.Take(config.IsObject(TextConfig) ? 2 : 1)) AddValues(place, parts);
        return Sorted(parts);
    }

    /// <summary>The parts that a GGUF file shows, those that are missing here first.</summary>
    public static IReadOnlyList<ShownPart> Of(GgufFile file)
    {
        var prefix = (file.Text(GgufModel.ArchitectureKey) ?? "") + ".";
        return Sorted(Of([
            .. file.Metadata.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal) && pair.Value.Content is not (0UL or 0L))
                .Select(pair => pair.Key[prefix.Length..])]));
    }

    /// <summary>In a few words what is missing, or that nothing is which is known of.</summary>
    /// <param name="parts">What a configuration shows.</param>
    internal static string Words(IReadOnlyList<ShownPart> parts)
    {
        var missing = parts.Where(part => !part.Runs).Select(part => part.Name).ToArray();
        if (missing.Length > 0) return $"there is no part for its {string.Join(", nor for its ", missing)}";
        if (parts.Count == 0) return "its configuration shows no part that is known";
        var shown = string.Join(", ", parts.Select(part => part.Name));
        return $"no family here reads it, though there are parts for what it shows: {shown}";
    }

    private static List<ShownPart> Of(string[] keys)
    {
        var shown = new List<ShownPart>();
        foreach (var (name, runs, patterns) in s_parts)
        {
            var found = keys.Where(key => patterns.Any(
                pattern => FileSystemName.MatchesSimpleExpression(pattern, key, ignoreCase: false))).Distinct().ToArray();
            if (found.Length > 0) shown.Add(new ShownPart(name, runs, found));
        }

        return shown;
    }

    /// <summary>Adds what values and not keys show: kinds of layers and activations that are not known.</summary>
    private static void AddValues(HuggingFaceConfig config, List<ShownPart> parts)
    {
        foreach (var key in s_layerKeys.Where(key => config.IsList(key)))
        {
            var others = (config.Texts(key) ?? []).Distinct().Where(kind => !s_layerKinds.Contains(kind)).ToArray();
            if (others.Length > 0 && !parts.Exists(part => !part.Runs && part.Name.StartsWith("mixer", StringComparison.Ordinal)))
                parts.Add(new ShownPart($"layers of the kind {string.Join(", ", others)}", false, [key]));
        }

        foreach (var key in s_activationKeys.Where(key => config.IsText(key)))
        {
            var name = config.Text(key, "");
            if (!ActivationConfig.Knows(name)) parts.Add(new ShownPart($"activation ({name})", false, [key]));
        }
    }

    private static IReadOnlyList<ShownPart> Sorted(List<ShownPart> parts) => [.. parts.OrderBy(part => part.Runs)];
}
