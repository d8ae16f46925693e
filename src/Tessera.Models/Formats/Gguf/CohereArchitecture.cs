using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// <c>command-r</c> and <c>cohere2</c>: attention and feed-forward read the same layer norm without a bias; logits have a scale. The second
/// has windows and positions in three layers of four.
/// </summary>
internal sealed class CohereArchitecture(string name) : RotaryArchitecture(name)
{
    private const string ScalingType = "rope.scaling.type";
    private const int Period = 4;
    private const int LayersWithNorms = 64; // llama.cpp knows Command R+ by its layers

    private bool HasWindows => Name == "cohere2";

    private protected override RotaryLayout Layout => RotaryLayout.Interleaved;

    public override bool IsNear(DecoderOptions options) => options.Decoder.NormPlacement == NormPlacement.ParallelOneNorm
        && HasWindows == Layers(options).Any(layer => LlamaConfig.WindowOf(options.Decoder.MixerOf(layer).Options) is not null);

    private protected override (float Embedding, float Logits) TableScales(DecoderOptions options) =>
        (options.EmbeddingScale ?? MathF.Sqrt(options.Width), 1);

    private protected override string? WhyNotAround(DecoderOptions options)
    {
        var stack = options.Decoder;
        return stack.NormPlacement == NormPlacement.ParallelOneNorm
            ? base.WhyNotAround(options with { Decoder = stack with { NormPlacement = NormPlacement.PreNorm } })
            : $"its layers have the form {stack.NormPlacement}, not ParallelOneNorm";
    }

    private protected override string? WhyNotStack(DecoderOptions options)
    {
        var norm = options.Decoder.Norm;
        if (WhyNotLayers(options, queryKeyNorm: !HasWindows, nope: HasWindows) is { } problem) return problem;
        if (!options.TieEmbeddings || (options.EmbeddingScale ?? MathF.Sqrt(options.Width)) != 1)
            return "its head is not the table of embeddings as it is";
        if (norm is not LayerNormOptions { Bias: false }) return "its norms are not layer norms without biases";
        if (!HasBias(options, false)) return "its attention has biases";
        if (options.Decoder.FeedForward is not SwiGluOptions { Bias: false }) return "its feed-forward is not SwiGLU without biases";
        MultiHeadOptions[] all = [.. Layers(options).Select(layer => AttentionOf(options, layer)!)];
        if (!HasWindows)
        {
            return all.Distinct().Count() > 1 || LlamaConfig.WindowOf(all[0]) is not null ? "its layers are not all alike, or have windows"
                : all[0].QueryKeyNorm is not null != all.Length >= LayersWithNorms
                    ? $"llama.cpp's {Name} has norms of queries and keys in models of {LayersWithNorms} layers or more, and in these alone"
                : all[0].QueryKeyNorm is { } own && (!all[0].PerHeadQueryKeyNorm || own != norm)
                    ? "the norms of queries and keys are not those of the layers, with weights for each head"
                : null;
        }

        return all.Any(attention => LlamaConfig.WindowOf(attention) is null != attention.Position is null)
            ? "its layers have windows without positions, or positions without windows"
            : all.Where(attention => attention.Position is not null).Distinct().Count() != 1
                ? "its layers with windows are not all alike"
                : null;
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = new LayerNormOptions(keys.Number(LayerEpsilon), Bias: false);
        var read = ReadAttention(keys, width, positions);
        var hasNorms = !HasWindows && keys.HasTensor("blk.0.attn_q_norm.weight");
        var plain = read with { QueryKeyNorm = hasNorms ? norm : null, PerHeadQueryKeyNorm = hasNorms };
        var sliding = HasWindows ? LlamaConfig.Windowed(plain, keys.Count(Window)) : plain;
        var slides = HasWindows ? ReadWindowLayers(keys, layers, Period) : [];
        var (attention, variants) = LlamaConfig.Attentions(
            layers, layer => !HasWindows ? plain : slides[layer] ? sliding : plain with { Position = null });
        return new TransformerOptions
        {
            Layers = layers, Norm = norm, NormPlacement = NormPlacement.ParallelOneNorm, Attention = attention, Variants = variants,
            FeedForward = new SwiGluOptions(keys.Count(Hidden)),
        };
    }

    private protected override DecoderOptions Completed(DecoderOptions options, GgufKeys keys) =>
        options with { LogitScale = keys.NumberOrNull(LogitScaleKey) ?? 1 };

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        if (((RotaryOptions)Rotating(options)!.Position!).Scaling is null) set(ScalingType, GgufValue.Of("none"));
        WriteAttention(options, set);
        set(LogitScaleKey, GgufValue.Of(options.LogitScale));
        if (HasWindows) WriteWindows(options, Period, set);
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        AddNorm(names, $"{ours}.input_norm", $"{theirs}.attn_norm", options.Decoder.Norm);
        AddMaps(names, options, layer);
        if (AttentionOf(options, layer)!.QueryKeyNorm is not null)
        {
            names.Same($"{ours}.attention.q_norm.weight", $"{theirs}.attn_q_norm.weight");
            names.Same($"{ours}.attention.k_norm.weight", $"{theirs}.attn_k_norm.weight");
        }

        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
