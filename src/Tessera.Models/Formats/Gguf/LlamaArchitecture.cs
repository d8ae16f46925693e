using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// RMS norms, rotary positions, SwiGLU, dense or with experts: <c>llama</c> (Llama, Mistral, Mixtral), whose queries and keys lie
/// with the two elements of a pair side by side; <c>qwen2</c> (biases of queries, keys and values); <c>qwen3</c> and
/// <c>qwen3moe</c> (norms of queries and keys).
/// </summary>
internal sealed class LlamaArchitecture(string name) : GgufArchitecture(name)
{
    private const string Window = "attention.sliding_window", WindowLayers = "attention.sliding_window_pattern";

    private bool PairsNeighbours => Name == "llama";

    private bool HasHeadNorms => Name is "qwen3" or "qwen3moe";

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        if (Layers(options).Select(layer => WindowOf(options, layer)).FirstOrDefault(window => window is not null) is { } keys)
        {
            yield return $"llama.cpp's {Name} does not limit attention to the window of {keys} tokens: "
                + "longer texts give other results there";
        }
    }

    public override bool IsNear(DecoderOptions options)
    {
        if (options.Decoder.Attention is not MultiHeadOptions attention || options.Decoder.Norm is not RmsNormOptions) return false;
        return attention.QueryKeyNorm is not null
            ? Name == (options.Decoder.FeedForward is ExpertsOptions ? "qwen3moe" : "qwen3")
            : attention is { Bias: true, OutputBias: false } && options.Decoder.FeedForward is DenseOptions { Bias: false }
                ? Name == "qwen2"
                : Name == "llama";
    }

    private protected override string? WhyNotStack(DecoderOptions options)
    {
        var stack = options.Decoder;
        if (stack.Position is not null) return "it adds positions to embeddings";
        if (Layers(options).Select(layer => stack.FeedForwardOf(layer).Options).Distinct().Count() > 1)
            return "its layers do not all have the same feed-forward";
        if (Layers(options).Select(layer => AsFull(stack.MixerOf(layer).Options)).Distinct().Count() > 1)
            return "its layers do not all have the same attention, but for windows";
        return WhyNot((MultiHeadOptions)stack.Attention, (RmsNormOptions)stack.Norm, options.Width) ?? WhyNot(stack.FeedForward);
    }

    private string? WhyNot(MultiHeadOptions attention, RmsNormOptions norm, int width)
    {
        if (AsFull(attention) is MultiHeadOptions { Pattern: not FullPattern })
            return "its attention looks at keys by another pattern than a window";
        if (attention is { SoftCap: not 0 }) return "its attention has a soft cap";
        if (attention.Sinks) return "its attention has sinks";
        if (attention.ScoreScale is { } scale && scale != 1 / MathF.Sqrt(HeadWidth(attention, width)))
            return "its attention has a scale of its own";
        if (attention.Position is not RotaryOptions rotary) return "its attention has no rotary positions";
        if (rotary.Width is { } rotated && rotated != HeadWidth(attention, width)) return "only a part of each head has rotary positions";
        if (rotary.Layout == RotaryLayout.Interleaved && !PairsNeighbours) return "its rotary positions pair neighbours";
        if (attention.WholeQueryKeyNorm) return "the norms of queries and keys are over all heads together";
        if (attention.PerHeadQueryKeyNorm) return "each head has weights of its own for the norms of queries and keys";
        if (HasHeadNorms && attention.QueryKeyNorm != norm) return $"the norms of queries and keys are not those of the layers, {norm}";
        if (HasHeadNorms && (attention.Bias || attention.OutputBias == true)) return "its attention has biases";
        return GgufRotary.WhyNot(rotary);
    }

    private static string? WhyNot(FeedForwardOptions feedForward) => feedForward switch
    {
        SwiGluOptions => null,
        ExpertsOptions { Expert: not SwiGluOptions { Bias: false } } => "its experts are not SwiGLU without biases",
        ExpertsOptions { Shared: > 0 } => "it has shared experts",
        ExpertsOptions { Router: SoftmaxRouterOptions { Normalise: true, Scale: 1, Bias: false } router }
            when router.ActiveGroups == router.Groups => null,
        ExpertsOptions => "its router is not a softmax over all experts whose best are divided by their sum",
        _ => "its feed-forward is not SwiGLU",
    };

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var (attention, variants) = ReadWindows(keys, ReadAttention(keys, width, positions), layers);
        return new TransformerOptions
        {
            Layers = layers, Attention = attention, FeedForward = ReadFeedForward(keys), Norm = ReadNorm(keys), Variants = variants,
        };
    }

    private MultiHeadOptions ReadAttention(GgufKeys keys, int width, int positions)
    {
        var heads = keys.Count(Heads);
        var headWidth = keys.CountOr(KeyWidth, width / heads, min: 1);
        if (keys.CountOr(ValueWidth, headWidth) is var values && values != headWidth)
            throw keys.Wrong(ValueWidth, values, $"the width of keys, {headWidth}");
        var (bias, outputBias) = (keys.HasTensor("blk.0.attn_q.bias"), keys.HasTensor("blk.0.attn_output.bias"));
        return new MultiHeadOptions(heads)
        {
            KeyValueHeads = keys.CountOr(KeyValueHeads, heads, min: 1), HeadWidth = headWidth, Bias = bias,
            OutputBias = outputBias == bias ? null : outputBias,
            QueryKeyNorm = HasHeadNorms ? ReadNorm(keys) : null,
            Position = GgufRotary.Read(keys, RotaryLayout.Halves, headWidth, positions),
        };
    }

    private static FeedForwardOptions ReadFeedForward(GgufKeys keys)
    {
        var experts = keys.CountOr(Experts, 0);
        if (experts == 0) return new SwiGluOptions(keys.Count(Hidden)) { Bias = keys.HasTensor("blk.0.ffn_up.bias") };
        var hidden = keys.Has(ExpertHidden) ? keys.Count(ExpertHidden) : keys.Count(Hidden);
        return new ExpertsOptions(experts, keys.Count(ActiveExperts), new SwiGluOptions(hidden));
    }

    /// <summary>Windows of all layers become the attention's, windows of some are variants.</summary>
    private static (MixerOptions Attention, IReadOnlyList<LayerVariant>? Variants) ReadWindows(
        GgufKeys keys, MultiHeadOptions full, int layers)
    {
        var window = keys.CountOr(Window, 0);
        if (window == 0) return (full, null);
        var windowed = full with { Pattern = new WindowPattern(window) };
        if (keys.BooleansOrNull(WindowLayers) is not { } pattern || pattern.All(has => has)) return (windowed, null);
        if (pattern.Count != layers) throw keys.Wrong(WindowLayers, $"{pattern.Count} long", $"as long as there are layers, {layers}");
        var variants = new List<LayerVariant>();
        for (var layer = 0; layer < layers; layer++)
            if (pattern[layer] && (layer == 0 || !pattern[layer - 1]))
                variants.Add(new LayerVariant { First = layer, Last = LastOfRun(pattern, layer), Attention = windowed });
        return (full, variants);
    }

    private static int LastOfRun(IReadOnlyList<bool> pattern, int first)
    {
        while (first + 1 < pattern.Count && pattern[first + 1]) first++;
        return first;
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var attention = (MultiHeadOptions)AsFull(options.Decoder.Attention);
        var rotary = (RotaryOptions)attention.Position!;
        var headWidth = HeadWidth(attention, options.Width);
        SetContext(set, rotary.Positions);
        Set(Heads, attention.SizesIn(options.Width).Heads);
        Set(KeyValueHeads, attention.SizesIn(options.Width).KeyValueHeads);
        Set(KeyWidth, headWidth);
        Set(ValueWidth, headWidth);
        set(RmsEpsilon, GgufValue.Of(options.Decoder.Norm.Epsilon));
        GgufRotary.Write(rotary, headWidth, set);
        if (options.Decoder.FeedForward is ExpertsOptions experts)
        {
            Set(Hidden, experts.Expert.HiddenAt(options.Width));
            Set(ExpertHidden, experts.Expert.HiddenAt(options.Width));
            Set(Experts, experts.Routed);
            Set(ActiveExperts, experts.Active);
        }
        else
        {
            Set(Hidden, ((DenseOptions)options.Decoder.FeedForward).HiddenAt(options.Width));
        }

        WriteWindows(options, set);

        void Set(string key, int count) => set(key, GgufValue.Of((uint)count));
    }

    private static void WriteWindows(DecoderOptions options, Action<string, GgufValue> set)
    {
        bool[] pattern = [.. Layers(options).Select(layer => WindowOf(options, layer) is not null)];
        var first = Array.IndexOf(pattern, true);
        if (first < 0) return;
        set(Window, GgufValue.Of((uint)WindowOf(options, first)!.Value));
        if (pattern.Contains(false)) set(WindowLayers, GgufValue.Of(pattern));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        var attention = (MultiHeadOptions)options.Decoder.MixerOf(layer).Options;
        var (heads, keyValueHeads, _) = attention.SizesIn(options.Width);
        names.Same($"{ours}.input_norm.weight", $"{theirs}.attn_norm.weight");
        names.Same($"{ours}.feed_forward_norm.weight", $"{theirs}.ffn_norm.weight");
        foreach (var end in (string[])[".weight", .. attention.Bias ? (string[])[".bias"] : []])
        {
            AddRotary("q_proj" + end, "attn_q" + end, heads);
            AddRotary("k_proj" + end, "attn_k" + end, keyValueHeads);
            names.Same($"{ours}.attention.v_proj{end}", $"{theirs}.attn_v{end}");
        }

        names.Same($"{ours}.attention.o_proj.weight", $"{theirs}.attn_output.weight");
        if (attention.OutputBias ?? attention.Bias) names.Same($"{ours}.attention.o_proj.bias", $"{theirs}.attn_output.bias");
        if (attention.QueryKeyNorm is not null)
        {
            names.Same($"{ours}.attention.q_norm.weight", $"{theirs}.attn_q_norm.weight");
            names.Same($"{ours}.attention.k_norm.weight", $"{theirs}.attn_k_norm.weight");
        }

        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);

        void AddRotary(string our, string their, int count)
        {
            if (PairsNeighbours && ((RotaryOptions)attention.Position!).Layout == RotaryLayout.Halves)
                names.PairedRows($"{ours}.attention.{our}", $"{theirs}.{their}", count);
            else names.Same($"{ours}.attention.{our}", $"{theirs}.{their}");
        }
    }

    private static IEnumerable<int> Layers(DecoderOptions options) => Enumerable.Range(0, options.Decoder.Layers);

    private static int HeadWidth(MultiHeadOptions attention, int width) => attention.SizesIn(width).HeadWidth;

    private static int? WindowOf(DecoderOptions options, int layer) => LlamaConfig.WindowOf(options.Decoder.MixerOf(layer).Options);

    /// <summary>The same attention without a window.</summary>
    private static MixerOptions AsFull(MixerOptions attention) =>
        LlamaConfig.WindowOf(attention) is null ? attention : (MultiHeadOptions)attention with { Pattern = new FullPattern() };
}
