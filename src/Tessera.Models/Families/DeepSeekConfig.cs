using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>What a DeepSeek has where its <c>config.json</c> does not say, as transformers has it.</summary>
internal sealed record DeepSeekSizes(int Heads, int Positions, int Expert, int Routed, int? Active, int Shared)
{
    public static DeepSeekSizes V2 { get; } = new(Heads: 32, Positions: 2048, Expert: 1407, Routed: 64, Active: null, Shared: 2);

    public static DeepSeekSizes V3 { get; } = new(Heads: 128, Positions: 4096, Expert: 2048, Routed: 256, Active: 8, Shared: 1);
}

/// <summary>What V2 and V3 have in common in their <c>config.json</c>: latent attention, and experts in all layers but the first
/// ones.</summary>
internal static class DeepSeekConfig
{
    /// <summary>The norms of latents do not follow <c>rms_norm_eps</c>.</summary>
    private static readonly RmsNormOptions s_latentNorm = new(1e-6f);

    public static LatentOptions ReadAttention(HuggingFaceConfig config, DeepSeekSizes sizes, RotaryLayout layout)
    {
        var heads = config.Whole("num_attention_heads", sizes.Heads);
        var position = RotaryConfig.Read(config, sizes.Positions, layout: layout);
        if (config.WholeOrNull("num_key_value_heads") is { } keyHeads)
            config.Require(
                keyHeads == heads, "num_key_value_heads", keyHeads, $"as num_attention_heads, {heads}: latent attention has no fewer");
        return new LatentOptions(
            heads, config.Whole("kv_lora_rank", 512), config.Whole("qk_nope_head_dim", 128), config.Whole("qk_rope_head_dim", 64),
            config.Whole("v_head_dim", 128))
        {
            QLoraRank = config.WholeOrNull("q_lora_rank", 1536),
            Bias = config.Truth("attention_bias", false),
            Position = position,
            Norm = s_latentNorm,
            ScoreFactor = YarnScaling.ScoreFactorOf(position.Scaling),
        };
    }

    public static ExpertsOptions ReadExperts(HuggingFaceConfig config, DeepSeekSizes sizes, RouterOptions router)
    {
        var expert = ActivationConfig.Gated(config, config.Whole("moe_intermediate_size", sizes.Expert));
        return new ExpertsOptions(
            config.Whole("n_routed_experts", sizes.Routed), config.Whole("num_experts_per_tok", sizes.Active), expert,
            config.WholeOrNull("n_shared_experts", sizes.Shared, min: 0) ?? 0) { Router = router };
    }

    /// <summary>The layers without experts: the first ones, and those between every <c>moe_layer_freq</c>-th.</summary>
    public static IReadOnlyList<LayerVariant>? ReadDense(HuggingFaceConfig config, int layers, int firstExperts, DenseOptions dense)
    {
        var (first, every) = (config.WholeOrNull("first_k_dense_replace", firstExperts, min: 0) ?? 0, config.Whole("moe_layer_freq", 1));
        return LlamaConfig.Runs(layers, layer => layer < first || layer % every != 0, new LayerVariant { FeedForward = dense });
    }

    /// <summary>Writes it.</summary>
    /// <returns>The experts, whose router is the family's to write.</returns>
    public static ExpertsOptions Write(DecoderOptions options, JsonObject config, DecoderFamily family)
    {
        var decoder = options.Decoder;
        if (decoder.Attention is not LatentOptions attention)
            throw new RecipeException(
                "model.decoder.attention.kind", $"is {Parts.NameOf(decoder.Attention)}; allowed for {family.Name}: latent");
        if (decoder.Norm is not RmsNormOptions norm)
            throw new RecipeException("model.decoder.norm.kind", $"is {Parts.NameOf(decoder.Norm)}; allowed for {family.Name}: rms");
        var (first, hasExperts) = LlamaConfig.FeedForwards<ExpertsOptions>(options);
        var experts = first
            ?? decoder.FeedForward as ExpertsOptions
            ?? throw new RecipeException(
                "model.decoder.feedForward.kind", $"is {Parts.NameOf(decoder.FeedForward)}; allowed for {family.Name}: experts");
        var sizes = attention.SizesIn(options.Width);
        config["hidden_size"] = options.Width;
        config["num_hidden_layers"] = decoder.Layers.Count;
        config["rms_norm_eps"] = norm.Epsilon;
        foreach (var key in new[] { "num_attention_heads", "num_key_value_heads" }) config[key] = sizes.Heads;
        config["q_lora_rank"] = attention.QLoraRank;
        config["kv_lora_rank"] = sizes.KvLoraRank;
        config["qk_nope_head_dim"] = sizes.NopeHeadDim;
        foreach (var key in new[] { "qk_rope_head_dim", "head_dim" }) config[key] = sizes.RopeHeadDim;
        config["v_head_dim"] = sizes.VHeadDim;
        config["attention_bias"] = attention.Bias;
        RotaryConfig.Write(attention.Position, config);
        config["first_k_dense_replace"] = Enumerable.Range(0, decoder.Layers).TakeWhile(layer => !hasExperts(layer)).Count();
        config["intermediate_size"] = LlamaConfig.FeedForwards<DenseOptions>(options).First?.Hidden ?? experts.Expert.Hidden;
        config["moe_intermediate_size"] = experts.Expert.Hidden;
        config["n_routed_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["n_shared_experts"] = CanonicalOptions.SharedWidth(experts) / experts.Expert.Hidden;
        ActivationConfig.Write(experts.Expert, config);
        return experts;
    }
}
