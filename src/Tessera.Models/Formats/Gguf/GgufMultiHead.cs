using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>Attention of heads with rotary positions whose pairs lie half a head apart, as architectures after Llama have it.</summary>
internal static class GgufMultiHead
{
    private const string Heads = "attention.head_count", KeyValueHeads = "attention.head_count_kv", KeyWidth = "attention.key_length",
        ValueWidth = "attention.value_length";

    private static readonly (string Ours, string Theirs)[] s_maps =
        [("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v"), ("o_proj", "attn_output")];

    /// <summary>Reads the sizes, the positions, and which biases and norms there are.</summary>
    public static MultiHeadOptions Read(GgufKeys keys, int width, int positions, RmsNormOptions norm)
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
            QueryKeyNorm = keys.HasTensor("blk.0.attn_q_norm.weight") ? norm : null,
            Position = GgufRotary.Read(keys, RotaryLayout.Halves, headWidth, positions),
        };
    }

    /// <summary>Writes sizes and positions.</summary>
    public static void Write(MultiHeadOptions attention, int width, Action<string, GgufValue> set)
    {
        var sizes = attention.SizesIn(width);
        Set(Heads, sizes.Heads);
        Set(KeyValueHeads, sizes.KeyValueHeads);
        Set(KeyWidth, sizes.HeadWidth);
        Set(ValueWidth, sizes.HeadWidth);
        GgufRotary.Write((RotaryOptions)attention.Position!, sizes.HeadWidth, set);

        void Set(string key, int count) => set(key, GgufValue.Of((uint)count));
    }

    /// <summary>What none of these architectures can say of an attention, windows and sinks aside; null where they can.</summary>
    public static string? WhyNot(MultiHeadOptions attention, NormOptions norm, int width)
    {
        var headWidth = attention.SizesIn(width).HeadWidth;
        if (LlamaConfig.WindowOf(attention) is null && attention.Pattern is not FullPattern)
            return "its attention looks at keys by another pattern than a window";
        if (attention.SoftCap != 0) return "its attention has a soft cap";
        if (attention.ScoreScale is { } scale && scale != 1 / MathF.Sqrt(headWidth)) return "its attention has a scale of its own";
        if (attention.QueryKeyNorm is { } own && own != norm) return $"the norms of queries and keys are not those of the layers, {norm}";
        return attention.Position is RotaryOptions { Layout: RotaryLayout.Halves }
            ? null
            : "its attention has no rotary positions in halves";
    }

    /// <summary>Adds the names of one layer.</summary>
    public static void Add(TensorNames names, MultiHeadOptions attention, string ours, string theirs)
    {
        foreach (var (our, their) in s_maps)
        {
            names.Same($"{ours}.attention.{our}.weight", $"{theirs}.{their}.weight");
            var hasBias = our == "o_proj" ? attention.OutputBias ?? attention.Bias : attention.Bias;
            if (hasBias) names.Same($"{ours}.attention.{our}.bias", $"{theirs}.{their}.bias");
        }

        if (attention.Sinks) names.Same($"{ours}.attention.sinks", $"{theirs}.attn_sinks.weight");
        if (attention.QueryKeyNorm is null) return;
        names.Same($"{ours}.attention.q_norm.weight", $"{theirs}.attn_q_norm.weight");
        names.Same($"{ours}.attention.k_norm.weight", $"{theirs}.attn_k_norm.weight");
    }
}
