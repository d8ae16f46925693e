using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>What architectures of decoders with rotary positions have in common: the keys of their attention, and the names of maps and
/// norms.</summary>
internal abstract class RotaryArchitecture(string name) : GgufArchitecture(name)
{
    private protected const string LayerEpsilon = "attention.layer_norm_epsilon", Window = "attention.sliding_window",
        WindowLayers = "attention.sliding_window_pattern", LogitScaleKey = "logit_scale";

    /// <summary>Which elements of a head form a pair.</summary>
    private protected virtual RotaryLayout Layout => RotaryLayout.Halves;

    /// <summary>The window that llama.cpp leaves out of account, for a note.</summary>
    private protected virtual int? IgnoredWindow(DecoderOptions options) => null;

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        if (IgnoredWindow(options) is { } keys)
        {
            yield return $"llama.cpp's {Name} does not limit attention to the window of {keys} tokens: "
                + "longer texts give other results there";
        }
    }

    /// <summary>The attention of a layer; null where it is another mixer.</summary>
    private protected static MultiHeadOptions? AttentionOf(DecoderOptions options, int layer) =>
        options.Decoder.MixerOf(layer).Options as MultiHeadOptions;

    /// <summary>The first attention with rotary positions, which stands for all.</summary>
    private protected static MultiHeadOptions? Rotating(DecoderOptions options) =>
        Layers(options).Select(layer => AttentionOf(options, layer)).FirstOrDefault(attention => attention?.Position is RotaryOptions);

    private protected static IEnumerable<int> Layers(DecoderOptions options) => Enumerable.Range(0, options.Decoder.Layers);

    /// <summary>Why not, for what no such file can say of any layer; null where nothing is in the way.</summary>
    /// <param name="options">The model.</param>
    /// <param name="softCap">Whether scores may have a cap.</param>
    /// <param name="scale">Whether scores may have a scale of their own.</param>
    /// <param name="queryKeyNorm">Whether queries and keys may have norms.</param>
    /// <param name="nope">Whether layers may have no positions.</param>
    /// <param name="fullWidth">Whether heads together must be as wide as tokens.</param>
    private protected string? WhyNotLayers(
        DecoderOptions options, bool softCap = false, bool scale = false, bool queryKeyNorm = false, bool nope = false,
        bool fullWidth = true)
    {
        var stack = options.Decoder;
        if (stack.Position is not null) return "it adds positions to embeddings";
        if (Layers(options).Select(layer => stack.FeedForwardOf(layer).Options).Distinct().Count() > 1)
            return "its layers do not all have the same feed-forward";
        foreach (var layer in Layers(options))
        {
            if (AttentionOf(options, layer) is not { } attention) return "its layers do not all have multi-head attention";
            var (heads, _, headWidth) = attention.SizesIn(options.Width);
            if (attention.SizesIn(options.Width) != AttentionOf(options, 0)!.SizesIn(options.Width))
                return "its layers differ in their heads";
            if (attention.Pattern is not FullPattern && LlamaConfig.WindowOf(attention) is null)
                return "its attention looks at keys by another pattern than a window";
            if (attention.Sinks) return "its attention has sinks";
            if (!softCap && attention.SoftCap != 0) return "its attention has a soft cap";
            if (!scale && attention.ScoreScale is { } own && own != 1 / MathF.Sqrt(headWidth))
                return "its attention has a scale of its own";
            if (!queryKeyNorm && attention.QueryKeyNorm is not null) return "it has norms of queries and keys";
            if (fullWidth && heads * headWidth != options.Width) return "its heads together are not as wide as its tokens";
            if (attention.Position is null && nope) continue;
            if (attention.Position is not RotaryOptions rotary) return "its attention has no rotary positions";
            if (WhyNot(rotary, headWidth) is { } problem) return problem;
        }

        return null;
    }

    /// <summary>What cannot be said of positions: those of all of a head, unless overridden, stretched by a factor or YaRN.</summary>
    private protected virtual string? WhyNot(RotaryOptions rotary, int headWidth) =>
        rotary.Width is { } width && width != headWidth ? "only a part of each head has rotary positions"
        : rotary.Layout != Layout ? $"its rotary positions pair elements as {rotary.Layout}"
        : rotary.Scaling is Llama3Scaling or LongScaling ? $"llama.cpp's {Name} has no divisors of frequencies"
        : GgufRotary.WhyNot(rotary);

    /// <summary>Whether all maps of attention have biases, or none has.</summary>
    private protected static bool HasBias(DecoderOptions options, bool bias) => Layers(options).All(layer =>
        AttentionOf(options, layer) is { } attention && attention.Bias == bias && (attention.OutputBias ?? bias) == bias);

    /// <summary>Heads and positions.</summary>
    private protected MultiHeadOptions ReadAttention(GgufKeys keys, int width, int positions)
    {
        var heads = keys.Count(Heads);
        var headWidth = keys.CountOr(KeyWidth, width / heads, min: 1);
        if (keys.CountOr(ValueWidth, headWidth) is var values && values != headWidth)
            throw keys.Wrong(ValueWidth, values, $"the width of keys, {headWidth}");
        return new MultiHeadOptions(heads)
        {
            KeyValueHeads = keys.CountOr(KeyValueHeads, heads, min: 1), HeadWidth = headWidth,
            Position = GgufRotary.Read(keys, Layout, headWidth, positions),
        };
    }

    /// <summary>Writes heads and positions, and the width of the hidden layer.</summary>
    private protected static void WriteAttention(DecoderOptions options, Action<string, GgufValue> set)
    {
        var attention = Rotating(options)!;
        var rotary = (RotaryOptions)attention.Position!;
        var (heads, keyValueHeads, headWidth) = attention.SizesIn(options.Width);
        SetContext(set, rotary.Positions);
        Set(Hidden, ((DenseOptions)options.Decoder.FeedForward).HiddenAt(options.Width));
        Set(Heads, heads);
        Set(KeyValueHeads, keyValueHeads);
        Set(KeyWidth, headWidth);
        Set(ValueWidth, headWidth);
        set(options.Decoder.Norm is RmsNormOptions ? RmsEpsilon : LayerEpsilon, GgufValue.Of(options.Decoder.Norm.Epsilon));
        GgufRotary.Write(rotary, headWidth, set);

        void Set(string key, int count) => set(key, GgufValue.Of((uint)count));
    }

    /// <summary>Which layers have windows: as the file says, and where it does not, all but every n-th.</summary>
    private protected static bool[] ReadWindowLayers(GgufKeys keys, int layers, int period)
    {
        if (keys.IsArray(WindowLayers))
        {
            var pattern = keys.BooleansOrNull(WindowLayers)!;
            return pattern.Count == layers
                ? [.. pattern]
                : throw keys.Wrong(WindowLayers, $"{pattern.Count} long", $"as long as there are layers, {layers}");
        }

        period = keys.CountOr(WindowLayers, period);
        return [.. Enumerable.Range(0, layers).Select(layer => period == 0 || layer % period < period - 1)];
    }

    /// <summary>Writes the window, and which layers have it where the period does not say so.</summary>
    private protected static void WriteWindows(DecoderOptions options, int period, Action<string, GgufValue> set)
    {
        int?[] windows = [.. Layers(options).Select(layer => LlamaConfig.WindowOf(options.Decoder.MixerOf(layer).Options))];
        set(Window, GgufValue.Of((uint)(windows.FirstOrDefault(window => window is not null) ?? 0)));
        bool[] slides = [.. windows.Select(window => window is not null)];
        if (slides.Index().Any(layer => layer.Item != layer.Index % period < period - 1)) set(WindowLayers, GgufValue.Of(slides));
    }

    /// <summary>Adds the names of a norm.</summary>
    private protected static void AddNorm(TensorNames names, string ours, string theirs, NormOptions norm)
    {
        if (norm is RmsNormOptions { UnitOffset: true }) names.Add(new UnitOffsetLayout($"{ours}.weight", $"{theirs}.weight"));
        else names.Same($"{ours}.weight", $"{theirs}.weight");
        if (norm is LayerNormOptions { Bias: true }) names.Same($"{ours}.bias", $"{theirs}.bias");
    }

    private protected override void AddEnds(TensorNames names, DecoderOptions options) =>
        AddNorm(names, "decoder.norm", "output_norm", options.Decoder.Norm);

    /// <summary>Adds a map and, where there is one, its bias.</summary>
    private protected static void AddMap(TensorNames names, string ours, string theirs, bool bias)
    {
        names.Same($"{ours}.weight", $"{theirs}.weight");
        if (bias) names.Same($"{ours}.bias", $"{theirs}.bias");
    }

    /// <summary>Adds the maps of an attention, each a tensor.</summary>
    /// <param name="names">The table.</param>
    /// <param name="options">The model.</param>
    /// <param name="layer">Which of its layers.</param>
    /// <param name="paired">Whether rows of queries and keys that are turned together stand side by side.</param>
    private protected static void AddMaps(TensorNames names, DecoderOptions options, int layer, bool paired = false)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}.attention", $"blk.{layer}");
        var attention = AttentionOf(options, layer)!;
        var (heads, keyValueHeads, _) = attention.SizesIn(options.Width);
        foreach (var end in (string[])["weight", .. attention.Bias ? (string[])["bias"] : []])
        {
            Add($"{ours}.q_proj.{end}", $"{theirs}.attn_q.{end}", heads);
            Add($"{ours}.k_proj.{end}", $"{theirs}.attn_k.{end}", keyValueHeads);
            names.Same($"{ours}.v_proj.{end}", $"{theirs}.attn_v.{end}");
        }

        AddMap(names, $"{ours}.o_proj", $"{theirs}.attn_output", attention.OutputBias ?? attention.Bias);

        void Add(string our, string their, int count)
        {
            if (paired) names.PairedRows(our, their, count);
            else names.Same(our, their);
        }
    }

    /// <summary>Adds the maps of an attention whose queries, keys and values lie in one tensor, one after the other.</summary>
    private protected static void AddFusedMaps(TensorNames names, DecoderOptions options, int layer)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}.attention", $"blk.{layer}");
        var attention = AttentionOf(options, layer)!;
        var (heads, keyValueHeads, headWidth) = attention.SizesIn(options.Width);
        var (queries, keys) = (heads * headWidth, keyValueHeads * headWidth);
        foreach (var end in (string[])["weight", .. attention.Bias ? (string[])["bias"] : []])
            foreach (var (map, first) in new[] { ("q_proj", 0), ("k_proj", queries), ("v_proj", queries + keys) })
                names.Rows($"{ours}.{map}.{end}", $"{theirs}.attn_qkv.{end}", first, queries + (2 * keys));
        AddMap(names, $"{ours}.o_proj", $"{theirs}.attn_output", attention.OutputBias ?? attention.Bias);
    }

    /// <summary>Adds the maps of a feed-forward without a gate.</summary>
    private protected static void AddPlainFeedForward(TensorNames names, DecoderOptions options, int layer)
    {
        var bias = ((DenseOptions)options.Decoder.FeedForwardOf(layer).Options).Bias;
        foreach (var (our, their) in new[] { ("up_proj", "ffn_up"), ("down_proj", "ffn_down") })
            AddMap(names, $"decoder.layers.{layer}.feed_forward.{our}", $"blk.{layer}.{their}", bias);
    }
}
