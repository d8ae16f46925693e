using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// <c>deepseek2</c> (DeepSeek-V2 and V3): latent attention, a few dense layers, then experts of which some are shared. The map
/// from latents to keys and values lies in two parts, <c>attn_k_b</c> (transposed) and <c>attn_v_b</c>, or in older files in one.
/// </summary>
internal sealed class DeepSeekArchitecture() : GgufArchitecture("deepseek2")
{
    private const string QLoraRank = "attention.q_lora_rank", KvLoraRank = "attention.kv_lora_rank",
        LatentKeyWidth = "attention.key_length_mla";
    private const string LatentValueWidth = "attention.value_length_mla", DenseLayers = "leading_dense_block_count",
        SharedExperts = "expert_shared_count";
    private const string Scale = "expert_weights_scale", Normalise = "expert_weights_norm", Gating = "expert_gating_func",
        Groups = "expert_group_count";
    private const string ActiveGroups = "expert_group_used_count", RopeHeadDim = "rope.dimension_count";
    private const int Softmax = 1, Sigmoid = 2;
    private const double LogUnit = 0.1;

    // llama.cpp takes a file for one without a query latent by the number of its layers alone.
    private static readonly int[] s_layersWithoutQueryLatent = [26, 27];

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        var stack = options.Decoder;
        if (((LatentOptions)stack.Attention).QLoraRank is null && !s_layersWithoutQueryLatent.Contains(stack.Layers))
        {
            yield return "llama.cpp reads a deepseek2 file whose queries have no latent only where it has "
                + $"{string.Join(" or ", s_layersWithoutQueryLatent)} layers; this has {stack.Layers}";
        }

        if (stack.FeedForward is ExpertsOptions { Router: SoftmaxRouterOptions router } && router.ActiveGroups < router.Groups)
        {
            yield return "llama.cpp ranks groups of experts by their best two, this model by the best one: "
                + "some tokens may visit other experts there";
        }
    }

    public override bool IsNear(DecoderOptions options) => options.Decoder.Attention is LatentOptions;

    private protected override string? WhyNotStack(DecoderOptions options)
    {
        var stack = options.Decoder;
        var attention = (LatentOptions)stack.Attention;
        if (stack.Position is not null) return "it adds positions to embeddings";
        if (stack.Variants?.Any(variant => variant.Attention is not null) == true) return "its layers do not all have the same attention";
        if (attention.Bias) return "its attention has biases";
        if (attention.Pattern is not FullPattern) return "its attention does not look at all keys";
        if (stack.Norm != attention.Norm) return $"the norms of its latents, {attention.Norm}, are not those of the layers, {stack.Norm}";
        if (attention.Position.Layout != RotaryLayout.Interleaved) return "its rotary positions do not pair neighbours";
        if (attention.Position.Width is { } rotated && rotated != attention.SizesIn(options.Width).RopeHeadDim)
            return "only a part of the position part has rotary positions";
        if (attention.ScoreFactor != YarnScaling.ScoreFactorOf(attention.Position.Scaling))
        {
            return $"it multiplies scores by {attention.ScoreFactor}, where its YaRN gives "
                + $"{YarnScaling.ScoreFactorOf(attention.Position.Scaling)}";
        }

        return GgufRotary.WhyNot(attention.Position, isLatent: true) ?? WhyNotFeedForward(stack);
    }

    private static string? WhyNotFeedForward(TransformerOptions stack)
    {
        var layers = Enumerable.Range(0, stack.Layers).Select(layer => stack.FeedForwardOf(layer).Options).ToArray();
        var dense = layers.TakeWhile(layer => layer is DenseOptions).Distinct().ToArray();
        var experts = layers.SkipWhile(layer => layer is DenseOptions).Distinct().ToArray();
        if (dense.Length > 1 || experts.Length > 1) return "its layers are not alike dense ones followed by alike ones with experts";
        if (dense is [not SwiGluOptions { Bias: false }]) return "its dense layers are not SwiGLU without biases";
        if (experts.Length == 0) return null;
        var mixture = (ExpertsOptions)experts[0];
        if (mixture.Expert is not SwiGluOptions { Bias: false }) return "its experts are not SwiGLU without biases";
        if (mixture.SharedCount == 0) return "it has no shared experts";
        if ((mixture.SharedHidden ?? mixture.Expert.Hidden) != mixture.Expert.Hidden)
            return "its shared experts are not as wide as the others";
        if (mixture.SharedBias || mixture.SharedGate) return "its shared experts have biases or gates";
        if (mixture.Router is SoftmaxRouterOptions { Bias: true }) return "its router has biases";
        return mixture.Router is SoftmaxRouterOptions or SigmoidRouterOptions ? null : "its router is neither a softmax nor sigmoids";
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var dense = keys.CountOr(DenseLayers, 0);
        if (dense > layers) throw keys.Wrong(DenseLayers, dense, $"0 to the number of layers, {layers}");
        var experts = keys.CountOr(Experts, 0);
        var plain = dense == 0 && experts > 0 ? null : new SwiGluOptions(keys.Count(Hidden));
        var isDense = experts == 0 || dense == layers;
        return new TransformerOptions
        {
            Layers = layers, Norm = ReadNorm(keys), Attention = ReadAttention(keys, positions),
            FeedForward = isDense ? plain! : ReadExperts(keys, experts, dense),
            Variants = isDense || plain is null ? null : [new LayerVariant { Last = dense - 1, FeedForward = plain }],
        };
    }

    private static LatentOptions ReadAttention(GgufKeys keys, int positions)
    {
        // In files that have the map from latents in one part, the widths of a head stand under the usual keys.
        var keyWidth = keys.Has(LatentKeyWidth) ? keys.Count(LatentKeyWidth) : keys.Count(KeyWidth);
        var valueWidth = keys.Has(LatentValueWidth) ? keys.Count(LatentValueWidth) : keys.Count(ValueWidth);
        var ropeHeadDim = keys.Count(RopeHeadDim, min: 2);
        if (ropeHeadDim >= keyWidth) throw keys.Wrong(RopeHeadDim, ropeHeadDim, $"less than the width of a head's key, {keyWidth}");
        var position = GgufRotary.Read(keys, RotaryLayout.Interleaved, ropeHeadDim, positions, LogUnit);
        return new LatentOptions(keys.Count(Heads), keys.Count(KvLoraRank), keyWidth - ropeHeadDim, ropeHeadDim, valueWidth)
        {
            QLoraRank = keys.Has(QLoraRank) ? keys.Count(QLoraRank) : null, Position = position, Norm = ReadNorm(keys),
            ScoreFactor = YarnScaling.ScoreFactorOf(position.Scaling),
        };
    }

    private static ExpertsOptions ReadExperts(GgufKeys keys, int experts, int firstLayer)
    {
        var (groups, activeGroups) = (keys.CountOr(Groups, 1, min: 1), keys.CountOr(ActiveGroups, 1, min: 1));
        var (scale, normalise) = (keys.NumberOrNull(Scale) ?? 1, keys.Truth(Normalise, otherwise: false));
        return new ExpertsOptions(
            experts, keys.Count(ActiveExperts), new SwiGluOptions(keys.Count(ExpertHidden)), keys.CountOr(SharedExperts, 0))
        {
            Router = keys.CountOr(Gating, Softmax) switch
            {
                0 or Softmax => new SoftmaxRouterOptions(normalise) { Scale = scale, Groups = groups, ActiveGroups = activeGroups },
                Sigmoid => new SigmoidRouterOptions(normalise)
                {
                    Scale = scale, Groups = groups, ActiveGroups = activeGroups,
                    Bias = keys.HasTensor($"blk.{firstLayer}.exp_probs_b.bias"),
                },
                var other => throw keys.Wrong(Gating, other, $"{Softmax} (softmax), {Sigmoid} (sigmoid)"),
            },
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var (stack, attention) = (options.Decoder, (LatentOptions)options.Decoder.Attention);
        var sizes = attention.SizesIn(options.Width);
        SetContext(set, attention.Position.Positions);
        Set(Heads, sizes.Heads);
        Set(KeyValueHeads, 1);
        Set(KvLoraRank, sizes.KvLoraRank);
        if (attention.QLoraRank is { } rank) Set(QLoraRank, rank);
        Set(KeyWidth, sizes.KvLoraRank + sizes.RopeHeadDim);
        Set(ValueWidth, sizes.KvLoraRank);
        Set(LatentKeyWidth, sizes.NopeHeadDim + sizes.RopeHeadDim);
        Set(LatentValueWidth, sizes.VHeadDim);
        set(RmsEpsilon, GgufValue.Of(stack.Norm.Epsilon));
        GgufRotary.Write(attention.Position, sizes.RopeHeadDim, set, LogUnit);

        var dense = Enumerable.Range(0, stack.Layers).TakeWhile(layer => stack.FeedForwardOf(layer).Options is DenseOptions).Count();
        Set(DenseLayers, dense);
        var experts = dense < stack.Layers ? (ExpertsOptions)stack.FeedForwardOf(dense).Options : null;
        var first = dense > 0 ? (DenseOptions)stack.FeedForwardOf(0).Options : experts!.Expert;
        Set(Hidden, first.HiddenAt(options.Width));
        if (experts is not null) WriteExperts(experts, options.Width, set);
        else Set(ExpertHidden, ((DenseOptions)stack.FeedForward).HiddenAt(options.Width));

        void Set(string key, int count) => set(key, GgufValue.Of((uint)count));
    }

    private static void WriteExperts(ExpertsOptions experts, int width, Action<string, GgufValue> set)
    {
        var (normalise, scale, groups, activeGroups, gating) = experts.Router is SigmoidRouterOptions sigmoid
            ? (sigmoid.Normalise, sigmoid.Scale, sigmoid.Groups, sigmoid.ActiveGroups, Sigmoid)
            : experts.Router is SoftmaxRouterOptions softmax
                ? (softmax.Normalise, softmax.Scale, softmax.Groups, softmax.ActiveGroups, Softmax)
            : throw new ArgumentException($"{experts.Router} is not a router of deepseek2", nameof(experts));
        Set(ExpertHidden, experts.Expert.HiddenAt(width));
        Set(Experts, experts.Routed);
        Set(ActiveExperts, experts.Active);
        Set(SharedExperts, experts.SharedCount);
        Set(Gating, gating);
        Set(Groups, groups);
        Set(ActiveGroups, activeGroups);
        set(Scale, GgufValue.Of(scale));
        set(Normalise, GgufValue.Of(normalise));

        void Set(string key, int count) => set(key, GgufValue.Of((uint)count));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        var attention = (LatentOptions)options.Decoder.Attention;
        var sizes = attention.SizesIn(options.Width);
        names.Same($"{ours}.input_norm.weight", $"{theirs}.attn_norm.weight");
        names.Same($"{ours}.feed_forward_norm.weight", $"{theirs}.ffn_norm.weight");
        foreach (var (our, their) in attention.QLoraRank is null
            ? (ReadOnlySpan<(string, string)>)[("q_proj", "attn_q")]
            : [("q_a_proj", "attn_q_a"), ("q_a_layernorm", "attn_q_a_norm"), ("q_b_proj", "attn_q_b")])
        {
            names.Same($"{ours}.attention.{our}.weight", $"{theirs}.{their}.weight");
        }

        names.Same($"{ours}.attention.kv_a_proj_with_mqa.weight", $"{theirs}.attn_kv_a_mqa.weight");
        names.Same($"{ours}.attention.kv_a_layernorm.weight", $"{theirs}.attn_kv_a_norm.weight");
        names.Same($"{ours}.attention.o_proj.weight", $"{theirs}.attn_output.weight");
        if (has($"{theirs}.attn_kv_b.weight")) names.Same($"{ours}.attention.kv_b_proj.weight", $"{theirs}.attn_kv_b.weight");
        else names.Add(new KeysAndValuesLayout(
            $"{ours}.attention.kv_b_proj.weight", $"{theirs}.attn_k_b.weight", $"{theirs}.attn_v_b.weight", sizes.Heads, sizes.NopeHeadDim,
            sizes.VHeadDim));
        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
