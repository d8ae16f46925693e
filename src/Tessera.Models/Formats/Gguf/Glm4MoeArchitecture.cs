using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>glm4moe</c> (GLM-4.5 and 4.6): partial rotary positions, a few dense layers, then experts with sigmoids beside shared
/// ones. Layers for multi-token prediction (MTP) behind the last one are not read.</summary>
internal sealed class Glm4MoeArchitecture() : ExpertsArchitecture("glm4moe")
{
    private const string DenseLayers = "leading_dense_block_count", SharedExperts = "expert_shared_count", Scale = "expert_weights_scale",
        Normalise = "expert_weights_norm", Gating = "expert_gating_func", MtpLayers = "nextn_predict_layers";
    private const int Sigmoid = 2, MaxMtpLayers = 16;

    private protected override string FeedForwardNorm => "post_attention_norm";

    public override bool IsNear(DecoderOptions options) =>
        options.Decoder.Attention is MultiHeadOptions
        && Layers(options.Decoder).Any(
            layer => options.Decoder.FeedForwardOf(layer).Options is ExpertsOptions { Router: SigmoidRouterOptions });

    private protected override string? WhyNotLayers(DecoderOptions options, MultiHeadOptions attention)
    {
        var stack = options.Decoder;
        var dense = DenseOf(stack);
        if (HasWindows(stack)) return "its attention has windows";
        if (attention.OutputBias ?? attention.Bias) return "its attention's output has a bias";
        if (attention.Sinks) return "its attention has sinks";
        if (attention.WholeQueryKeyNorm) return "the norms of queries and keys are over all heads together";
        var first = Enumerable.Range(0, dense).Select(layer => stack.FeedForwardOf(layer).Options).Distinct().ToArray();
        if (first is not ([] or [SwiGluOptions { Bias: false }])) return "its dense layers are not alike, SwiGLU without biases";
        return GgufRotary.WhyNot((RotaryOptions)attention.Position!) ?? ExpertsOf(stack, dense) switch
        {
            null => "its layers are not dense ones followed by alike ones with experts",
            { Expert: not SwiGluOptions { Bias: false } } => "its experts are not SwiGLU without biases",
            { SharedCount: 0 } => "it has no shared experts",
            { SharedBias: true } or { SharedGate: true } => "its shared experts have biases or gates",
            { SharedHidden: { } shared } experts when shared != experts.Expert.Hidden =>
                "its shared experts are not as wide as the others",
            { Router: not SigmoidRouterOptions { Bias: true } } => "its experts are not chosen by sigmoids and biases",
            { Router: SigmoidRouterOptions router } when router.ActiveGroups != router.Groups =>
                "a token may visit some groups of experts only",
            _ => null,
        };
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var mtp = keys.CountOr(MtpLayers, 0);
        if (mtp >= layers || mtp > MaxMtpLayers) throw keys.Wrong(MtpLayers, mtp, $"0 to {Math.Min(MaxMtpLayers, layers - 1)}");
        layers -= mtp;
        var (norm, dense) = (ReadNorm(keys), keys.CountOr(DenseLayers, 0));
        if (dense >= layers) throw keys.Wrong(DenseLayers, dense, $"less than the number of layers, {layers}");
        if (keys.CountOr(Gating, Sigmoid) is var gating && gating is not (0 or Sigmoid))
            throw keys.Wrong(Gating, gating, $"{Sigmoid} (sigmoid)");
        return new TransformerOptions
        {
            Layers = layers, Norm = norm, Attention = GgufMultiHead.Read(keys, width, positions, norm),
            FeedForward = new ExpertsOptions(
                keys.Count(Experts), keys.Count(ActiveExperts), new SwiGluOptions(keys.Count(ExpertHidden)), keys.CountOr(SharedExperts, 0))
            {
                Router = new SigmoidRouterOptions(keys.Truth(Normalise, otherwise: false)) { Scale = keys.NumberOrNull(Scale) ?? 1 },
            },
            Variants = dense == 0 ? null : [new LayerVariant { Last = dense - 1, FeedForward = new SwiGluOptions(keys.Count(Hidden)) }],
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var (stack, dense) = (options.Decoder, DenseOf(options.Decoder));
        var experts = ExpertsOf(stack, dense)!;
        var router = (SigmoidRouterOptions)experts.Router;
        WriteSizes(options, (MultiHeadOptions)stack.Attention, experts, set);
        var first = dense > 0 ? (DenseOptions)stack.FeedForwardOf(0).Options : experts.Expert;
        Set(set, Hidden, first.HiddenAt(options.Width));
        Set(set, DenseLayers, dense);
        Set(set, SharedExperts, experts.SharedCount);
        Set(set, Gating, Sigmoid);
        set(Scale, GgufValue.Of(router.Scale));
        set(Normalise, GgufValue.Of(router.Normalise));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        base.AddLayer(names, options, layer, has);
        if (layer < options.Decoder.Layers - 1) return;
        for (var mtp = layer + 1; has($"blk.{mtp}.nextn.eh_proj.weight"); mtp++) names.Ignored($"blk.{mtp}.*");
    }

    private static int DenseOf(TransformerOptions stack) =>
        Layers(stack).TakeWhile(layer => stack.FeedForwardOf(layer).Options is DenseOptions).Count();
}
