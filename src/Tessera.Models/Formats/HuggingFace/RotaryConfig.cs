using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// Rotary positions in a <c>config.json</c>: all in <c>rope_parameters</c> since transformers 5, before that <c>rope_theta</c> beside
/// <c>rope_scaling</c>, whose kind is <c>rope_type</c> or, older still, <c>type</c>. Both are read, the new one is written.
/// </summary>
internal static class RotaryConfig
{
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
        (int HeadWidth, double Share)? part = null)
    {
        var positions = config.Whole("max_position_embeddings", longest);
        var rope = config.Object("rope_scaling") ?? config.Object("rope_parameters");
        var width = Width(config, rope, part);

        theta = rope?.NumberOrNull("rope_theta") ?? config.NumberOrNull("rope_theta") ?? theta;
        var scaling = rope is null ? null : Scaling(rope, config, positions);
        return new RotaryOptions((float)theta, layout, scaling is DynamicScaling dynamic ? Reach(dynamic) : positions)
        {
            Width = width, Scaling = scaling,
        };
    }

    /// <summary>How many elements of a head are turned; null: all.</summary>
    private static int? Width(HuggingFaceConfig config, HuggingFaceConfig? rope, (int HeadWidth, double Share)? part)
    {
        const string Key = "partial_rotary_factor";
        foreach (var place in new[] { rope, config })
        {
            if (place?.NumberOrNull(Key) is not { } share) continue;
            place.Require(share == 1 || part is not null, Key, share, "1: this family turns whole heads");
            if (part is { } known) part = known with { Share = share };
            place.Require(share is > 0 and <= 1, Key, share, "above 0, up to 1");
            break;
        }

        return part is { Share: < 1 } some ? (int)(some.HeadWidth * some.Share) : null;
    }

    /// <summary>Writes them.</summary>
    /// <param name="rotary">What to write.</param>
    /// <param name="config">Takes the keys.</param>
    /// <param name="headWidth">The width of a head, where the family may turn a part of each.</param>
    public static void Write(RotaryOptions rotary, JsonObject config, int? headWidth = null)
    {
        var rope = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = rotary.Theta };
        config["max_position_embeddings"] = rotary.Scaling is DynamicScaling { TrainedLength: var trained } ? trained : rotary.Positions;
        config["rope_parameters"] = rope;
        if (headWidth is { } all) rope["partial_rotary_factor"] = (double)(rotary.Width ?? all) / all;
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

        void Set(string kind, params (string Key, object? Value)[] values)
        {
            rope["rope_type"] = kind;
            foreach (var (key, value) in values)
                if (value is not null) rope[key] = JsonSerializer.SerializeToNode(value);
        }
    }

    /// <summary>The greatest length that a dynamic scaling is meant for.</summary>
    private static int Reach(DynamicScaling dynamic) => (int)Math.Min(dynamic.Factor * dynamic.TrainedLength, 1 << 24);

    private static RotaryScaling? Scaling(HuggingFaceConfig rope, HuggingFaceConfig config, int positions)
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
            return config.WholeOrNull(Key) ?? rope.WholeOrNull(Key) ?? positions;
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
