using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Heads;
using Tessera.Nn.Positions;
using Tessera.Nn.Recurrence;
using Tessera.Nn.Mixers;

namespace Tessera.Models;

/// <summary>
/// Options with every default said, layer by layer, and without what only training looks at: two options with the same canonical form make
/// the same model.
/// </summary>
public static class CanonicalOptions
{
    /// <summary>The canonical form, as a recipe would write it.</summary>
    /// <param name="options">Options that a model can be built from.</param>
    public static JsonObject Of(ModelOptions options)
    {
        var plain = options switch
        {
            DecoderOptions alone => alone with
            {
                EmbeddingScale = alone.EmbeddingScale ?? MathF.Sqrt(alone.Width),
                Decoder = Of(alone.Decoder, alone.Width, alone.MtpDepth) with { CrossAttention = null },
            },
            EncoderDecoderOptions pair => pair with
            {
                SourceWidth = pair.SourceWidth ?? pair.Width,
                Encoder = Of(pair.Encoder, pair.SourceWidth ?? pair.Width),
                Decoder = Of(pair.Decoder, pair.Width),
            },
            EncoderModelOptions alone => alone with
            {
                EmbeddingScale = alone.EmbeddingScale ?? MathF.Sqrt(alone.Width),
                Encoder = Of(alone.Encoder, alone.Width),
            },
            _ => options,
        };
        if (plain.Head is LabelHeadOptions labels) plain = plain with { Head = labels with { Dropout = 0 } };
        var form = RecipeJson.Tree(plain);
        // Width and depth of multi-token prediction change what the layers say: a comparison is to come upon the cause first.
        if (form["decoder"] is { } decoder && form.Remove("decoder")) form.Add("decoder", decoder);
        return form;
    }

    /// <summary>The options of a decoder with the sizes of its feed-forwards said that follow from its width, for formats that have no
    /// defaults like ours.</summary>
    public static DecoderOptions Sized(DecoderOptions options)
    {
        var (stack, width) = (options.Decoder, options.Width);
        return options with
        {
            Decoder = stack with
            {
                FeedForward = stack.FeedForward.At(width),
                Variants = stack.Variants?.Select(variant => variant with { FeedForward = variant.FeedForward?.At(width) }).ToList(),
            },
        };
    }

    /// <summary>What a form has at a path, such as <c>decoder.variants[0].attention.heads</c>.</summary>
    public static string At(JsonObject form, string path)
    {
        JsonNode? node = form;
        foreach (var key in path.Replace("[", ".[", StringComparison.Ordinal).Split('.'))
            node = key[0] == '[' ? node?[int.Parse(key[1..^1], System.Globalization.CultureInfo.InvariantCulture)] : node?[key];
        return node?.ToJsonString() ?? "nothing";
    }

    private static EncoderOptions Of(EncoderOptions encoder, int width) => encoder switch
    {
        TransformerOptions stack => Of(stack, width, furtherLayers: 0) with { CrossAttention = null },
        RecurrenceOptions recurrence => recurrence with { Hidden = recurrence.HiddenIn(width) },
        var other => other,
    };

    private static TransformerOptions Of(TransformerOptions stack, int width, int furtherLayers = 0)
    {
        var layers = Enumerable.Range(0, stack.Layers + furtherLayers).Select(layer => new LayerVariant
        {
            First = layer, Last = layer, Attention = stack.MixerOf(layer).Options.Canonical(width),
            FeedForward = Of(stack.FeedForwardOf(layer).Options.At(width)),
        }).ToList();
        var isPlain = stack.Layers.All.All(layer => layer.Blocks == LayerBlocks.All);
        return stack with
        {
            Layers = isPlain ? stack.Layers.Count : stack.Layers, Mixers = isPlain ? null : stack.Mixers,
            Attention = layers[0].Attention!, FeedForward = layers[0].FeedForward!, Variants = layers, Dropout = 0,
            CrossAttention = stack.CrossAttention?.Canonical(width),
        };
    }

    private static FeedForwardOptions Of(FeedForwardOptions feedForward) => feedForward is not ExpertsOptions experts
        ? feedForward
        : experts with
        {
            Router = Of(experts.Router),
            // Shared experts that count fully are one wide expert.
            Shared = experts.Router is TwoStageRouterOptions ? experts.SharedCount : Math.Min(experts.SharedCount, 1),
            SharedHidden = experts.Router is TwoStageRouterOptions ? experts.SharedHidden : SharedWidth(experts),
            SharedBias = experts.SharedBias && experts.SharedCount > 0,
        };

    /// <summary>The width of all shared experts together; of sized options (<see cref="Sized"/>).</summary>
    public static int SharedWidth(ExpertsOptions experts) => experts.SharedCount * (experts.SharedHidden ?? experts.Expert.Hidden ?? 0);

    private static RouterOptions Of(RouterOptions router) => router switch
    {
        SoftmaxRouterOptions softmax when softmax.Groups == softmax.ActiveGroups => softmax with { Groups = 1, ActiveGroups = 1 },
        SigmoidRouterOptions { Groups: var groups, ActiveGroups: var active } sigmoid =>
            sigmoid with { BiasRate = 0, Groups = groups == active ? 1 : groups, ActiveGroups = groups == active ? 1 : active },
        _ => router,
    };
}
