using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary>What architectures have in common whose layers are heads with rotary positions and experts.</summary>
internal abstract class ExpertsArchitecture(string name) : GgufArchitecture(name)
{
    /// <summary>The norm before the feed-forward.</summary>
    private protected virtual string FeedForwardNorm => "ffn_norm";

    private protected sealed override string? WhyNotStack(DecoderOptions options)
    {
        var stack = options.Decoder;
        if (stack.Position is not null) return "it adds positions to embeddings";
        if (stack.Norm is not RmsNormOptions) return "its norms are not RMS norms";
        if (stack.Attention is not MultiHeadOptions attention) return "its attention is not one of heads";
        var others = Layers(stack).Select(layer => AsFull(stack.MixerOf(layer).Options)).Distinct().Count();
        if (others > 1) return "its layers do not all have the same attention, but for windows";
        return GgufMultiHead.WhyNot(attention, stack.Norm, options.Width) ?? WhyNotLayers(options, attention);
    }

    /// <summary>What this architecture cannot say of a stack of heads and experts, or null.</summary>
    private protected abstract string? WhyNotLayers(DecoderOptions options, MultiHeadOptions attention);

    /// <summary>The experts of all layers; null where some layers have others.</summary>
    private protected static ExpertsOptions? ExpertsOf(TransformerOptions stack, int firstLayer = 0) =>
        Layers(stack).Skip(firstLayer).Select(layer => stack.FeedForwardOf(layer).Options).Distinct().ToArray() is [ExpertsOptions alike]
            ? alike : null;

    /// <summary>Whether only a part of each head has rotary positions.</summary>
    private protected static bool HasPartialRotary(MultiHeadOptions attention, int width) =>
        ((RotaryOptions)attention.Position!).Width is { } rotated && rotated != attention.SizesIn(width).HeadWidth;

    private protected static bool HasWindows(TransformerOptions stack) => LlamaConfig.FirstWindow(stack) is not null;

    private protected static IEnumerable<int> Layers(TransformerOptions stack) => Enumerable.Range(0, stack.Layers);

    private protected static void Set(Action<string, GgufValue> set, string key, int count) => set(key, GgufValue.Of((uint)count));

    /// <summary>Writes the sizes of attention and experts.</summary>
    private protected static void WriteSizes(
        DecoderOptions options, MultiHeadOptions attention, ExpertsOptions experts, Action<string, GgufValue> set)
    {
        SetContext(set, ((RotaryOptions)attention.Position!).Positions);
        set(RmsEpsilon, GgufValue.Of(options.Decoder.Norm.Epsilon));
        GgufMultiHead.Write(attention, options.Width, set);
        Set(set, ExpertHidden, experts.Expert.HiddenAt(options.Width));
        Set(set, Experts, experts.Routed);
        Set(set, ActiveExperts, experts.Active);
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        names.Same($"{ours}.input_norm.weight", $"{theirs}.attn_norm.weight");
        names.Same($"{ours}.feed_forward_norm.weight", $"{theirs}.{FeedForwardNorm}.weight");
        GgufMultiHead.Add(names, (MultiHeadOptions)options.Decoder.MixerOf(layer).Options, ours, theirs);
        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }

    private static Nn.Mixers.MixerOptions AsFull(Nn.Mixers.MixerOptions attention) =>
        LlamaConfig.WindowOf(attention) is null ? attention : (MultiHeadOptions)attention with { Pattern = new FullPattern() };
}

/// <summary><c>olmoe</c>: norms over whole queries and keys, gates that stay probabilities.</summary>
internal sealed class OlmoeArchitecture() : ExpertsArchitecture("olmoe")
{
    public override bool IsNear(DecoderOptions options) =>
        options.Decoder is { Attention: MultiHeadOptions { WholeQueryKeyNorm: true }, FeedForward: ExpertsOptions };

    private protected override string? WhyNotLayers(DecoderOptions options, MultiHeadOptions attention)
    {
        var sizes = attention.SizesIn(options.Width);
        if (options.TieEmbeddings) return "its embeddings are tied";
        if (sizes.KeyValueHeads != sizes.Heads) return "it has fewer key and value heads than heads";
        if (HasWindows(options.Decoder)) return "its attention has windows";
        if (attention.Bias || attention.OutputBias == true) return "its attention has biases";
        if (attention.Sinks) return "its attention has sinks";
        if (HasPartialRotary(attention, options.Width)) return "only a part of each head has rotary positions";
        if (sizes.Heads * sizes.HeadWidth != options.Width) return "its heads are not together as wide as its hidden states";
        return GgufRotary.WhyNot((RotaryOptions)attention.Position!) ?? ExpertsOf(options.Decoder) switch
        {
            null => "its layers do not all have the same experts",
            { Expert: not SwiGluOptions { Bias: false } } => "its experts are not SwiGLU without biases",
            { SharedCount: > 0 } => "it has shared experts",
            { Router: SoftmaxRouterOptions { Normalise: false, Scale: 1, Bias: false } router }
                when router.ActiveGroups == router.Groups => null,
            _ => "its gates are not plain probabilities of the chosen experts",
        };
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = ReadNorm(keys);
        var hidden = keys.Has(ExpertHidden) ? keys.Count(ExpertHidden) : keys.Count(Hidden);
        return new TransformerOptions
        {
            Layers = layers, Norm = norm,
            Attention = GgufMultiHead.Read(keys, width, positions, norm) with { QueryKeyNorm = norm, WholeQueryKeyNorm = true },
            FeedForward = new ExpertsOptions(keys.Count(Experts), keys.Count(ActiveExperts), new SwiGluOptions(hidden))
            {
                Router = new SoftmaxRouterOptions(Normalise: false),
            },
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var experts = ExpertsOf(options.Decoder)!;
        WriteSizes(options, (MultiHeadOptions)options.Decoder.Attention, experts, set);
        Set(set, Hidden, experts.Expert.HiddenAt(options.Width)); // is what llama.cpp goes by
    }
}

/// <summary><c>qwen2moe</c>: biases of queries, keys and values, gates that stay probabilities, a wide shared expert with a gate of its
/// own.</summary>
internal sealed class Qwen2MoeArchitecture() : ExpertsArchitecture("qwen2moe")
{
    private const string SharedHidden = "expert_shared_feed_forward_length";

    public override bool IsNear(DecoderOptions options) =>
        options.Decoder.Attention is MultiHeadOptions
        && Layers(options.Decoder).Any(layer => options.Decoder.FeedForwardOf(layer).Options is ExpertsOptions { SharedGate: true });

    private protected override string? WhyNotLayers(DecoderOptions options, MultiHeadOptions attention)
    {
        var sizes = attention.SizesIn(options.Width);
        if (options.TieEmbeddings) return "its embeddings are tied";
        if (HasWindows(options.Decoder)) return "its attention has windows";
        if (attention.QueryKeyNorm is not null) return "its queries and keys have norms";
        if (attention.Sinks) return "its attention has sinks";
        if (HasPartialRotary(attention, options.Width)) return "only a part of each head has rotary positions";
        if (sizes.Heads * sizes.HeadWidth != options.Width) return "its heads are not together as wide as its hidden states";
        return GgufRotary.WhyNot((RotaryOptions)attention.Position!) ?? ExpertsOf(options.Decoder) switch
        {
            null => "its layers do not all have the same experts",
            { Expert: not SwiGluOptions { Bias: false } } => "its experts are not SwiGLU without biases",
            not { SharedCount: 1, SharedGate: true, SharedBias: false } => "it has not one shared expert with a gate",
            { Router: SoftmaxRouterOptions { Normalise: false, Scale: 1, Bias: false } router }
                when router.ActiveGroups == router.Groups => null,
            _ => "its gates are not plain probabilities of the chosen experts",
        };
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = ReadNorm(keys);
        var active = keys.Count(ActiveExperts);
        var hidden = keys.Has(ExpertHidden) ? keys.Count(ExpertHidden) : Math.Max(1, keys.Count(Hidden) / active);
        return new TransformerOptions
        {
            Layers = layers, Norm = norm, Attention = GgufMultiHead.Read(keys, width, positions, norm),
            FeedForward = new ExpertsOptions(keys.Count(Experts), active, new SwiGluOptions(hidden), Shared: 1)
            {
                SharedHidden = keys.Has(SharedHidden) ? keys.Count(SharedHidden) : keys.Count(Hidden), SharedGate = true,
                Router = new SoftmaxRouterOptions(Normalise: false),
            },
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var experts = ExpertsOf(options.Decoder)!;
        WriteSizes(options, (MultiHeadOptions)options.Decoder.Attention, experts, set);
        var shared = experts.SharedHidden ?? experts.Expert.HiddenAt(options.Width);
        Set(set, Hidden, shared);
        Set(set, SharedHidden, shared);
    }
}
