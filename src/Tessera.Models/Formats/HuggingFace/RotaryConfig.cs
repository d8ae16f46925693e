using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>What a family takes for granted of rotary positions that its <c>config.json</c> does not say.</summary>
/// <param name="Longest">Its <c>max_position_embeddings</c>.</param>
/// <param name="Theta">The base of the wavelengths.</param>
internal sealed record RotaryDefaults(int Longest, double Theta = 10000)
{
    /// <summary>Which elements form a pair.</summary>
    public RotaryLayout Layout { get; init; }

    /// <summary>The width of a head, of families that may turn a part of it; null of those that turn whole heads.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>The share of a head that is turned.</summary>
    public double Share { get; init; } = 1;

    /// <summary>What the family used to call the share.</summary>
    public string ShareKey { get; init; } = "partial_rotary_factor";

    /// <summary>What the family used to call the base.</summary>
    public string ThetaKey { get; init; } = "rope_theta";

    /// <summary>The length of the first training, which counts more than what is said beside a scaling; null where families have
    /// none.</summary>
    public int? TrainedLength { get; init; }
}

/// <summary>
/// Rotary positions in a <c>config.json</c>: all in <c>rope_parameters</c> since transformers 5, before that <c>rope_theta</c> beside
/// <c>rope_scaling</c>, whose kind is <c>rope_type</c> or, older still, <c>type</c>. Both are read, the new one is written.
/// </summary>
internal static class RotaryConfig
{
    private const string ShareKey = "partial_rotary_factor";
    private const string Kinds = "default, linear, dynamic, yarn, llama3, longrope";

    /// <summary>Reads them.</summary>
    /// <param name="config">The whole config.</param>
    /// <param name="longest">The family's default of <c>max_position_embeddings</c>.</param>
    /// <param name="theta">The family's default of <c>rope_theta</c>.</param>
    /// <param name="layout">Which elements form a pair.</param>
    /// <param name="part">The width of a head and the family's default of <c>partial_rotary_factor</c>, where it may turn a part of each
    /// head; null where it turns whole ones.</param>
    public static RotaryOptions Read(
        HuggingFaceConfig config, int longest, double theta = 10000, RotaryLayout layout = RotaryLayout.Halves,
        (int HeadWidth, double Share)? part = null) =>
        Read(config, new RotaryDefaults(longest, theta) { Layout = layout, HeadWidth = part?.HeadWidth, Share = part?.Share ?? 1 });

    /// <summary>Reads them.</summary>
    /// <param name="config">The whole config.</param>
    /// <param name="defaults">What the family takes for granted.</param>
    public static RotaryOptions Read(HuggingFaceConfig config, RotaryDefaults defaults) =>
        Read(config.Object("rope_scaling") ?? config.Object("rope_parameters"), config, defaults);

    /// <summary>Reads those of some of the layers.</summary>
    /// <param name="rope">What is said of them; null: nothing.</param>
    /// <param name="config">The whole config.</param>
    /// <param name="defaults">What the family takes for granted.</param>
    public static RotaryOptions Read(HuggingFaceConfig? rope, HuggingFaceConfig config, RotaryDefaults defaults)
    {
        var positions = config.Whole("max_position_embeddings", defaults.Longest);
        var theta = rope?.NumberOrNull("rope_theta") ?? config.NumberOrNull(defaults.ThetaKey) ?? defaults.Theta;
        var scaling = rope is null ? null : Scaling(rope, config, positions, defaults.TrainedLength);
        return new RotaryOptions((float)theta, defaults.Layout, scaling is DynamicScaling dynamic ? Reach(dynamic) : positions)
        {
            Width = TurnedWidth(rope, config, defaults), Scaling = scaling,
        };
    }

    /// <summary>Writes them.</summary>
    /// <param name="rotary">What to write.</param>
    /// <param name="config">The whole config.</param>
    /// <param name="headWidth">The width of a head, of families that may turn a part of it.</param>
    public static void Write(RotaryOptions rotary, JsonObject config, int? headWidth = null)
    {
        config["max_position_embeddings"] = rotary.Scaling is DynamicScaling { TrainedLength: var trained } ? trained : rotary.Positions;
        config["rope_parameters"] = Written(rotary, headWidth);
    }

    /// <summary>What is said of the positions of some of the layers.</summary>
    public static JsonObject Written(RotaryOptions rotary, int? headWidth = null)
    {
        var rope = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = rotary.Theta };
        if (headWidth is { } width) rope[ShareKey] = ShareOf(rotary.Width ?? width, width);
        switch (rotary.Scaling)
        {
            case LinearScaling linear:
                Set("linear", ("factor", linear.Factor));
                break;
            case DynamicScaling dynamic:
                Set("dynamic", ("factor", dynamic.Factor));
                break;
            case YarnScaling yarn:
                Set(
                    "yarn", ("factor", yarn.Factor), ("original_max_position_embeddings", yarn.TrainedLength), ("beta_fast", yarn.BetaFast),
                    ("beta_slow", yarn.BetaSlow), ("attention_factor", yarn.AttentionFactor), ("mscale", yarn.Mscale),
                    ("mscale_all_dim", yarn.MscaleAllDim), ("truncate", yarn.Truncate ? null : false));
                break;
            case Llama3Scaling llama3:
                Set(
                    "llama3", ("factor", llama3.Factor), ("original_max_position_embeddings", llama3.TrainedLength),
                    ("low_freq_factor", llama3.LowFrequencyFactor), ("high_freq_factor", llama3.HighFrequencyFactor));
                break;
            case LongScaling longs:
                Set(
                    "longrope", ("factor", longs.Factor), ("original_max_position_embeddings", longs.TrainedLength),
                    ("attention_factor", longs.AttentionFactor), ("short_factor", longs.ShortFactors), ("long_factor", longs.LongFactors));
                break;
        }

        return rope;

        void Set(string kind, params (string Key, object? Value)[] values)
        {
            rope["rope_type"] = kind;
            foreach (var (key, value) in values)
                if (value is not null) rope[key] = JsonSerializer.SerializeToNode(value);
        }
    }

    /// <summary>How many elements of a head are turned; null where all are.</summary>
    private static int? TurnedWidth(HuggingFaceConfig? rope, HuggingFaceConfig config, RotaryDefaults defaults)
    {
        foreach (var (place, key) in new[] { (rope, ShareKey), (config, defaults.ShareKey), (config, ShareKey) })
        {
            if (place?.NumberOrNull(key) is not { } share) continue;
            if (defaults.HeadWidth is null) place.Require(share == 1, key, share, "1: this family turns whole heads");
            else place.Require(share is > 0 and <= 1, key, share, "above 0, up to 1");
        }

        var found = rope?.NumberOrNull(ShareKey) ?? config.NumberOrNull(defaults.ShareKey) ?? config.NumberOrNull(ShareKey)
            ?? defaults.Share;
        return defaults.HeadWidth is { } width && (int)(width * found) is var turned && turned != width ? turned : null;
    }

    /// <summary>The share of a width that a part is, such that the part is what it comes to.</summary>
    private static double ShareOf(int part, int width)
    {
        var share = (double)part / width;
        return (int)(width * share) == part ? share : Math.BitIncrement(share);
    }

    /// <summary>The greatest length that a dynamic scaling is meant for.</summary>
    private static int Reach(DynamicScaling dynamic) => (int)Math.Min(dynamic.Factor * dynamic.TrainedLength, 1 << 24);

    private static RotaryScaling? Scaling(HuggingFaceConfig rope, HuggingFaceConfig config, int positions, int? trainedOtherwise)
    {
        var key = rope.Has("rope_type") ? "rope_type" : "type";
        var kind = rope.Text(key, "default");
        return kind switch
        {
            "default" => null,
            "linear" => new LinearScaling(rope.Number("factor")),
            "dynamic" => new DynamicScaling(rope.Number("factor"), positions),
            "yarn" => Yarn(rope, Trained(), positions),
            "llama3" => new Llama3Scaling(
                rope.Number("factor"), Trained(), rope.Number("low_freq_factor"), rope.Number("high_freq_factor")),
            "longrope" or "su" => Long(rope, Trained(), positions),
            _ => throw rope.Problem(key, kind, Kinds),
        };

        // Phi and its kin say it beside the scaling, and mean it to count more than what is said within.
        int Trained()
        {
            const string Key = "original_max_position_embeddings";
            return config.WholeOrNull(Key) ?? trainedOtherwise ?? rope.WholeOrNull(Key) ?? positions;
        }
    }

    private static YarnScaling Yarn(HuggingFaceConfig rope, int trained, int positions) =>
        new(rope.NumberOrNull("factor") ?? (double)positions / trained, trained)
    {
        BetaFast = NonZero(rope, "beta_fast") ?? 32,
        BetaSlow = NonZero(rope, "beta_slow") ?? 1,
        Truncate = rope.Truth("truncate", true),
        AttentionFactor = rope.NumberOrNull("attention_factor"),
        Mscale = rope.NumberOrNull("mscale"),
        MscaleAllDim = rope.NumberOrNull("mscale_all_dim"),
    };

    private static LongScaling Long(HuggingFaceConfig rope, int trained, int positions) =>
        new(trained, Factors(rope, "short_factor"), Factors(rope, "long_factor"))
    {
        Factor = rope.NumberOrNull("factor") ?? (double)positions / trained,
        AttentionFactor = rope.NumberOrNull("attention_factor"),
    };

    private static double? NonZero(HuggingFaceConfig rope, string key) => rope.NumberOrNull(key) is { } number and not 0 ? number : null;

    private static IReadOnlyList<double> Factors(HuggingFaceConfig rope, string key) =>
        rope.Numbers(key) ?? throw rope.Problem(key, "missing", "a list of numbers");
}
