using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// <c>gemma2</c> and <c>gemma3</c>: norms around each part, windows in layers that a period tells, embeddings multiplied by the root of
/// their width. Files hold what norms multiply by, one more than the weights of checkpoints.
/// </summary>
internal sealed class GemmaArchitecture(string name) : RotaryArchitecture(name)
{
    private const string ScoreCap = "attn_logit_softcapping", LogitCap = "final_logit_softcapping", LocalBase = "rope.freq_base_swa";
    private const float LocalTheta = 10000;

    private bool IsGemma3 => Name == "gemma3";

    private int Period => IsGemma3 ? 6 : 2;

    public override bool IsNear(DecoderOptions options) => options.Decoder.NormPlacement == NormPlacement.Sandwich
        && options.Decoder.MixerOf(0).Options is MultiHeadOptions attention && attention.QueryKeyNorm is not null == IsGemma3;

    private protected override (float Embedding, float Logits) TableScales(DecoderOptions options) => (1, options.LogitScale);

    private protected override string? WhyNotAround(DecoderOptions options)
    {
        var stack = options.Decoder;
        return stack.NormPlacement != NormPlacement.Sandwich ? $"its layers have the form {stack.NormPlacement}, not Sandwich"
            : stack.ResidualScale != 1 ? "it scales what layers add to the stream"
            : stack.Norm is not RmsNormOptions { UnitOffset: true } ? "its norms do not multiply by one more than their weights"
            : options.EmbeddingScale is { } scale && scale != MathF.Sqrt(options.Width) ? "its embeddings are not multiplied by √width"
            : !options.TieEmbeddings || options.LogitScale != 1 ? "its head is not the table of embeddings as it is"
            : !IsGemma3 && options.LogitSoftCap == 0 ? $"its logits have no soft cap, which {Name} takes for granted"
            : null;
    }

    private protected override string? WhyNotStack(DecoderOptions options)
    {
        var stack = options.Decoder;
        if (WhyNotLayers(options, softCap: !IsGemma3, scale: true, queryKeyNorm: IsGemma3, fullWidth: false) is { } problem) return problem;
        if (stack.FeedForward is not GeGluTanhOptions { Bias: false }) return "its feed-forward is not GeGLU in its tanh form";
        if (!HasBias(options, false)) return "its attention has biases";
        MultiHeadOptions[] all = [.. Layers(options).Select(layer => AttentionOf(options, layer)!)];
        var wanted = ScoreScale(all.Length, options.Width, all[0].SizesIn(options.Width));
        if (all.Any(attention => Math.Abs((attention.ScoreScale ?? wanted) / wanted - 1) > 1e-6))
            return $"its attention does not multiply scores by {wanted}, as {Name} does";
        if (IsGemma3 && all.Any(attention => attention is not { PerHeadQueryKeyNorm: false, WholeQueryKeyNorm: false }
            || attention.QueryKeyNorm != stack.Norm))
            return "the norms of queries and keys are not those of the layers";
        if (!IsGemma3 && all.Any(attention => attention.SoftCap == 0 || attention.SoftCap != all[0].SoftCap))
            return $"its scores do not all have the soft cap that {Name} takes for granted";
        if (all.Where(attention => LlamaConfig.WindowOf(attention) is not null).Distinct().Count() > 1
            || all.Where(attention => LlamaConfig.WindowOf(attention) is null).Distinct().Count() > 1)
            return "its layers do not all have the same attention, but for windows";
        var local = Local(options);
        return IsGemma3 && (local is null || ((RotaryOptions)local.Position!).Scaling is not null)
            ? "it has no layers with a window, or their positions are stretched"
            : local is null ? "it has no layers with a window" : null;
    }

    private static MultiHeadOptions? Local(DecoderOptions options) =>
        Layers(options).Select(layer => AttentionOf(options, layer)!).FirstOrDefault(layer => LlamaConfig.WindowOf(layer) is not null);

    private static MultiHeadOptions? Global(DecoderOptions options) =>
        Layers(options).Select(layer => AttentionOf(options, layer)!).FirstOrDefault(layer => LlamaConfig.WindowOf(layer) is null);

    /// <summary>What llama.cpp multiplies scores by: the models of 27 billion weights, known by their layers, have another scale.</summary>
    private float ScoreScale(int layers, int width, HeadSizes sizes) =>
        (float)(1 / Math.Sqrt(layers == (IsGemma3 ? 62 : 46) ? width / sizes.Heads : sizes.HeadWidth));

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = ReadNorm(keys) with { UnitOffset = true };
        var read = ReadAttention(keys, width, positions);
        var full = read with
        {
            ScoreScale = ScoreScale(layers, width, read.SizesIn(width)), QueryKeyNorm = IsGemma3 ? norm : null,
            SoftCap = IsGemma3 ? 0 : keys.NumberOrNull(ScoreCap) ?? 50,
        };
        var sliding = LlamaConfig.Windowed(full, keys.CountOr(Window, 4096, min: 1));
        if (IsGemma3)
        {
            var local = (RotaryOptions)sliding.Position!;
            sliding = sliding with { Position = local with { Theta = keys.NumberOrNull(LocalBase) ?? LocalTheta, Scaling = null } };
        }

        var slides = ReadWindowLayers(keys, layers, Period);
        var (attention, variants) = LlamaConfig.Attentions(layers, layer => slides[layer] ? sliding : full);
        return new TransformerOptions
        {
            Layers = layers, Attention = attention, Variants = variants, Norm = norm, NormPlacement = NormPlacement.Sandwich,
            FeedForward = new GeGluTanhOptions(keys.Count(Hidden)),
        };
    }

    private protected override DecoderOptions Completed(DecoderOptions options, GgufKeys keys) => options with
    {
        EmbeddingScale = null, LogitSoftCap = keys.NumberOrNull(LogitCap) ?? (IsGemma3 ? 0 : 30),
    };

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var (global, local) = (Global(options), Local(options)!);
        WriteAttention(options, set);
        GgufRotary.Write((RotaryOptions)(global ?? local).Position!, local.SizesIn(options.Width).HeadWidth, set);
        if (IsGemma3 && ((RotaryOptions)local.Position!).Theta is var theta && theta != LocalTheta) set(LocalBase, GgufValue.Of(theta));
        if (options.LogitSoftCap != 0) set(LogitCap, GgufValue.Of(options.LogitSoftCap));
        if (!IsGemma3) set(ScoreCap, GgufValue.Of(local.SoftCap));
        WriteWindows(options, Period, set);
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        var norm = options.Decoder.Norm;
        AddNorm(names, $"{ours}.input_norm", $"{theirs}.attn_norm", norm);
        AddNorm(names, $"{ours}.attention_output_norm", $"{theirs}.post_attention_norm", norm);
        AddNorm(names, $"{ours}.feed_forward_norm", $"{theirs}.ffn_norm", norm);
        AddNorm(names, $"{ours}.feed_forward_output_norm", $"{theirs}.post_ffw_norm", norm);
        AddMaps(names, options, layer);
        if (IsGemma3)
        {
            AddNorm(names, $"{ours}.attention.q_norm", $"{theirs}.attn_q_norm", norm);
            AddNorm(names, $"{ours}.attention.k_norm", $"{theirs}.attn_k_norm", norm);
        }

        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
