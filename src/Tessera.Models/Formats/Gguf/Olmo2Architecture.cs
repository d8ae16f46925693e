using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>olmo2</c>: norms after each part, and of whole queries and keys.</summary>
internal sealed class Olmo2Architecture() : RotaryArchitecture("olmo2")
{
    public override bool IsNear(DecoderOptions options) => options.Decoder.NormPlacement == NormPlacement.ResidualPostNorm;

    private protected override string? WhyNotAround(DecoderOptions options)
    {
        var stack = options.Decoder;
        return stack.NormPlacement == NormPlacement.ResidualPostNorm
            ? base.WhyNotAround(options with { Decoder = stack with { NormPlacement = NormPlacement.PreNorm } })
            : $"its layers have the form {stack.NormPlacement}, not ResidualPostNorm";
    }

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options, queryKeyNorm: true) is { } problem ? problem
        : options.TieEmbeddings ? "its head is the table of embeddings"
        : options.Decoder.Variants is { Count: > 0 } || LlamaConfig.WindowOf(options.Decoder.Attention) is not null
            ? "its layers are not all alike, or have windows"
        : AttentionOf(options, 0) is not { WholeQueryKeyNorm: true } attention || attention.QueryKeyNorm != options.Decoder.Norm
            ? "the norms of queries and keys are not those of the layers, over all heads together"
        : options.Decoder.Norm is not RmsNormOptions ? "its norms are not RMS norms"
        : !HasBias(options, false) ? "its attention has biases"
        : options.Decoder.FeedForward is not SwiGluOptions { Bias: false } ? "its feed-forward is not SwiGLU without biases"
        : null;

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = ReadNorm(keys);
        if (keys.CountOr(Window, 0) is > 0 and var window) throw keys.Wrong(Window, window, "0: windows are those of OLMo 3");
        return new TransformerOptions
        {
            Layers = layers, Norm = norm, NormPlacement = NormPlacement.ResidualPostNorm,
            Attention = ReadAttention(keys, width, positions) with { QueryKeyNorm = norm, WholeQueryKeyNorm = true },
            FeedForward = new SwiGluOptions(keys.Count(Hidden)),
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set) => WriteAttention(options, set);

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        AddMaps(names, options, layer);
        foreach (var (our, their) in new[]
        {
            ("attention_output_norm", "post_attention_norm"), ("feed_forward_output_norm", "post_ffw_norm"),
            ("attention.q_norm", "attn_q_norm"), ("attention.k_norm", "attn_k_norm"),
        })
        {
            AddNorm(names, $"{ours}.{our}", $"{theirs}.{their}", options.Decoder.Norm);
        }

        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
