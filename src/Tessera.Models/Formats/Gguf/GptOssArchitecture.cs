using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>gpt-oss</c>: sinks, windows in the first of every two layers, biases, a clamped SwiGLU. Where positions are stretched, the
/// YaRN does not round, which files do not say.</summary>
internal sealed class GptOssArchitecture() : ExpertsArchitecture("gpt-oss")
{
    private const string Window = "attention.sliding_window";

    private static readonly ClampedSwiGluOptions s_expert = new() { Bias = true };

    private protected override string FeedForwardNorm => "post_attention_norm";

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        if (options.Decoder.Attention is MultiHeadOptions { Position: RotaryOptions { Scaling: YarnScaling } })
        {
            yield return "llama.cpp rounds the pairs where the blending of YaRN begins and ends, this model does not: "
                + "results differ a little";
        }
    }

    public override bool IsNear(DecoderOptions options) => options.Decoder is
        { Attention: MultiHeadOptions { Sinks: true }, FeedForward: ExpertsOptions { Expert: ClampedSwiGluOptions } };

    private protected override string? WhyNotLayers(DecoderOptions options, MultiHeadOptions attention)
    {
        var stack = options.Decoder;
        var rotary = (RotaryOptions)attention.Position!;
        if (options.TieEmbeddings) return "its embeddings are tied";
        if (!Layers(stack).All(layer => LlamaConfig.WindowOf(stack.MixerOf(layer).Options) is not null == (layer % 2 == 0)))
            return "windows are not in the first of every two layers";
        if (!attention.Bias || attention.OutputBias == false) return "its attention has no biases";
        if (attention.QueryKeyNorm is not null) return "its queries and keys have norms";
        if (HasPartialRotary(attention, options.Width)) return "only a part of each head has rotary positions";
        if (rotary.Scaling is YarnScaling { Truncate: true }) return "its YaRN rounds the pairs where blending begins and ends";
        return GgufRotary.WhyNot(Rounding(rotary)) ?? ExpertsOf(stack) switch
        {
            null => "its layers do not all have the same experts",
            { SharedCount: > 0 } => "it has shared experts",
            { Expert: var expert } when expert with { Hidden = null } != s_expert =>
                "its experts are not a clamped SwiGLU with biases, alpha 1.702 and limit 7",
            { Router: SoftmaxRouterOptions { Normalise: true, Scale: 1, Bias: true } router }
                when router.ActiveGroups == router.Groups => null,
            _ => "its gates are not a softmax over the chosen experts",
        };
    }

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var norm = ReadNorm(keys);
        var attention = GgufMultiHead.Read(keys, width, positions, norm);
        var rotary = (RotaryOptions)attention.Position!;
        if (rotary.Scaling is YarnScaling yarn) rotary = rotary with { Scaling = yarn with { Truncate = false } };
        var stack = new TransformerOptions
        {
            Layers = layers, Norm = norm, Attention = attention with { Sinks = true, Position = rotary },
            FeedForward = new ExpertsOptions(
                keys.Count(Experts), keys.Count(ActiveExperts), s_expert with { Hidden = keys.Count(ExpertHidden) })
            {
                Router = new SoftmaxRouterOptions(Normalise: true) { Bias = true },
            },
        };
        return LlamaConfig.WithWindows(stack, [.. Enumerable.Range(0, layers).Select(layer => layer % 2 == 0)], keys.Count(Window));
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var (stack, experts) = (options.Decoder, ExpertsOf(options.Decoder)!);
        WriteSizes(options, (MultiHeadOptions)stack.Attention, experts, set);
        Set(set, Hidden, experts.Expert.HiddenAt(options.Width));
        Set(set, Window, LlamaConfig.FirstWindow(stack)!.Value);
    }

    private static RotaryOptions Rounding(RotaryOptions rotary) =>
        rotary.Scaling is YarnScaling yarn ? rotary with { Scaling = yarn with { Truncate = true } } : rotary;
}
