using System.Text.Json;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Nn.Blocks;

/// <summary>Options of a stack of <see cref="TransformerLayer"/>; as an encoder <c>"kind": "transformer"</c>.</summary>
public sealed record TransformerOptions : EncoderOptions
{
    /// <summary>How many layers, 1 to 256, or which: <c>"3 x lstm, attention"</c> (<see cref="LayerPattern"/>).</summary>
    public required LayerPattern Layers { get; init; }

    /// <summary>How tokens see one another in layers that name no other mixer.</summary>
    public required MixerOptions Attention { get; init; }

    /// <summary>Mixers that <see cref="Layers"/> names; none that it does not.</summary>
    public IReadOnlyDictionary<string, MixerOptions>? Mixers { get; init; }

    /// <summary>How a decoder looks at its encoder's output; where null as <see cref="Attention"/>, whatever its pattern, or with as many
    /// heads where that cannot read another sequence.</summary>
    public MixerOptions? CrossAttention { get; init; }

    /// <summary>What is computed for each token on its own.</summary>
    public required FeedForwardOptions FeedForward { get; init; }

    /// <summary>Layers whose mixer or feed-forward differs; where several name a layer, the last counts.</summary>
    public IReadOnlyList<LayerVariant>? Variants { get; init; }

    /// <summary>Where layers have their norms, and whether their parts follow one another.</summary>
    public NormPlacement NormPlacement { get; init; }

    /// <summary>What layers multiply by before they add it to the hidden states; greater than 0.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>The norms of the layers and at the end.</summary>
    public NormOptions Norm { get; init; } = new RmsNormOptions();

    /// <summary>Positions added to the embeddings; none where null.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>The share of what parts add to the hidden states, and of the embeddings, that is dropped while training; in [0,
    /// 1).</summary>
    public float Dropout { get; init; }

    /// <inheritdoc/>
    public override Encoder Build(PartBuilder part) => new Transformer(this, part, MixerRole.Bidirectional);

    /// <summary>The mixer of a layer.</summary>
    /// <param name="layer">From 0; one beyond the last is like the last.</param>
    /// <returns>The options and their place below the stack's in the recipe.</returns>
    /// <exception cref="RecipeException">The layer's name is no mixer.</exception>
    public (MixerOptions Options, string Path) MixerOf(int layer)
    {
        for (var index = (Variants?.Count ?? 0) - 1; index >= 0; index--)
            if (Variants![index] is { Attention: { } own } variant && variant.Has(layer)) return (own, $"variants[{index}].attention");
        if (Named(layer).Mixer is not { } name) return (Attention, "attention");
        if (Mixers?.TryGetValue(name, out var named) == true) return (named, $"mixers.{name}");
        return OfKind(name) is { } plain
            ? (plain, $"layers.{name}")
            : throw new RecipeException("layers", Unknown(name));
    }

    /// <summary>The feed-forward of a layer, as <see cref="MixerOf"/>.</summary>
    /// <param name="layer">From 0.</param>
    /// <returns>The options and their place below the stack's in the recipe.</returns>
    public (FeedForwardOptions Options, string Path) FeedForwardOf(int layer)
    {
        for (var index = (Variants?.Count ?? 0) - 1; index >= 0; index--)
            if (Variants![index] is { FeedForward: { } own } variant && variant.Has(layer)) return (own, $"variants[{index}].feedForward");
        return (FeedForward, "feedForward");
    }

    /// <summary>Which sub-blocks a layer has.</summary>
    public LayerBlocks BlocksOf(int layer) => Named(layer).Blocks;

    /// <summary>Throws unless layers name mixers that there are, and every mixer and variant is that of some layer.</summary>
    /// <param name="part">The stack's place.</param>
    /// <param name="furtherLayers">Layers beyond the last that are made too.</param>
    internal void Check(PartBuilder part, int furtherLayers)
    {
        foreach (var name in Layers.All.Select(layer => layer.Mixer).OfType<string>().Distinct())
            if (!IsKnown(name)) throw new RecipeException($"{part.Path}.layers", Unknown(name));
        var count = Layers.Count + furtherLayers;
        for (var index = 0; index < Variants?.Count; index++) Variants[index].Check(part.At($"variants[{index}]"), count);
        var used = Enumerable.Range(0, count).SelectMany(PathsOf).ToHashSet(StringComparer.Ordinal);
        foreach (var name in Mixers?.Keys ?? [])
            RequireUsed($"mixers.{name}", $"is the mixer of no layer; layers is {Layers}");
        for (var index = 0; index < Variants?.Count; index++)
        {
            foreach (var key in KeysOf(Variants[index]))
                RequireUsed($"variants[{index}].{key}", "is that of no layer: of several variants of a layer the last counts");
        }

        void RequireUsed(string path, string problem)
        {
            if (!used.Contains(path)) throw new RecipeException($"{part.Path}.{path}", problem);
        }

        static IEnumerable<string> KeysOf(LayerVariant variant)
        {
            if (variant.Attention is not null) yield return "attention";
            if (variant.FeedForward is not null) yield return "feedForward";
        }
    }

    /// <summary>Where the options of a layer's mixer and feed-forward stand, as far as it has them.</summary>
    private IEnumerable<string> PathsOf(int layer)
    {
        if (BlocksOf(layer) != LayerBlocks.FeedForward) yield return MixerOf(layer).Path;
        if (BlocksOf(layer) != LayerBlocks.Mixer) yield return FeedForwardOf(layer).Path;
    }

    private bool IsKnown(string name) => Mixers?.ContainsKey(name) == true || OfKind(name) is not null;

    private string Unknown(string name) => $"names '{name}'; allowed: {Known()}";

    private NamedLayer Named(int layer) => Layers.All[Math.Min(layer, Layers.Count - 1)];

    /// <summary>A kind of mixer with its defaults; null where there is no such kind.</summary>
    private static MixerOptions? OfKind(string kind) =>
        Parts.Kinds(typeof(MixerOptions)).FirstOrDefault(known => known.Name == kind) is { } found
            ? (MixerOptions)JsonSerializer.Deserialize("{}", found.Part)!
            : null;

    private string Known() => string.Join(
        ", ", (Mixers?.Keys ?? []).Prepend("attention").Concat(Parts.Kinds(typeof(MixerOptions)).Select(kind => kind.Name)).Distinct());
}
