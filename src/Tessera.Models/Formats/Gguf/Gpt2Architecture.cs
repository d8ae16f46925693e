using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>gpt2</c>: layer norms, learned positions, biases everywhere, queries, keys and values in one matrix.</summary>
internal sealed class Gpt2Architecture() : GgufArchitecture("gpt2")
{
    private const string Epsilon = "attention.layer_norm_epsilon";

    public override bool IsNear(DecoderOptions options) => true;

    private protected override string? WhyNotStack(DecoderOptions options)
    {
        var stack = options.Decoder;
        if (stack.Norm is not LayerNormOptions { Bias: true })
            return "its norms are neither RMS norms, as other architectures have, nor layer norms with biases";
        if (stack.Position is not LearnedOptions) return "its positions are not learned";
        if (stack.Variants is { Count: > 0 }) return "its layers are not all alike";
        return stack.Attention is not MultiHeadOptions
            {
                Pattern: FullPattern, Bias: true, OutputBias: null or true, QueryKeyNorm: null, Position: null, SoftCap: 0, Sinks: false,
            } attention
            || attention.SizesIn(options.Width) is var sizes
                && (sizes.KeyValueHeads != sizes.Heads || sizes.HeadWidth * sizes.Heads != options.Width)
            || (attention.ScoreScale is { } scale && scale != 1 / MathF.Sqrt(sizes.HeadWidth))
                ? "its attention is not plain multi-head attention with biases"
                : stack.FeedForward is GeluTanhOptions { Bias: true } ? null : "its feed-forward is not GELU in its tanh form with biases";
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var heads = keys.Count(Heads);
        if (keys.CountOr(KeyValueHeads, heads) is var own && own != heads)
            throw keys.Wrong(KeyValueHeads, own, $"as many as there are heads, {heads}");
        return new TransformerOptions
        {
            Layers = layers, Attention = new MultiHeadOptions(heads) { Bias = true },
            FeedForward = new GeluTanhOptions(keys.Count(Hidden)) { Bias = true },
            Norm = new LayerNormOptions(keys.Number(Epsilon)), Position = new LearnedOptions(positions),
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        SetContext(set, ((LearnedOptions)options.Decoder.Position!).Positions);
        set(Hidden, GgufValue.Of((uint)((DenseOptions)options.Decoder.FeedForward).HiddenAt(options.Width)));
        set(Heads, GgufValue.Of((uint)((MultiHeadOptions)options.Decoder.Attention).SizesIn(options.Width).Heads));
        set(Epsilon, GgufValue.Of(options.Decoder.Norm.Epsilon));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        foreach (var end in (string[])["weight", "bias"])
        {
            names.Same($"{ours}.input_norm.{end}", $"{theirs}.attn_norm.{end}");
            names.Same($"{ours}.feed_forward_norm.{end}", $"{theirs}.ffn_norm.{end}");
            names.Rows($"{ours}.attention.q_proj.{end}", $"{theirs}.attn_qkv.{end}", 0, 3 * options.Width);
            names.Rows($"{ours}.attention.k_proj.{end}", $"{theirs}.attn_qkv.{end}", options.Width, 3 * options.Width);
            names.Rows($"{ours}.attention.v_proj.{end}", $"{theirs}.attn_qkv.{end}", 2 * options.Width, 3 * options.Width);
            names.Same($"{ours}.attention.o_proj.{end}", $"{theirs}.attn_output.{end}");
            names.Same($"{ours}.feed_forward.up_proj.{end}", $"{theirs}.ffn_up.{end}");
            names.Same($"{ours}.feed_forward.down_proj.{end}", $"{theirs}.ffn_down.{end}");
        }
    }

    private protected override void AddEnds(TensorNames names, DecoderOptions options)
    {
        names.Same("decoder.position.weight", "position_embd.weight");
        names.Same("decoder.norm.weight", "output_norm.weight");
        names.Same("decoder.norm.bias", "output_norm.bias");
    }
}
