using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Blocks;

/// <summary>
/// Layers of a stack that have another attention or feed-forward than the rest; an entry of <c>"variants"</c> in a recipe.
/// Full attention in every sixth layer of windows is <c>{ "first": 5, "every": 6, "attention": { … } }</c>, three dense layers
/// before those with experts <c>{ "last": 2, "feedForward": { … } }</c>.
/// </summary>
public sealed record LayerVariant
{
    /// <summary>The first such layer, from 0; one that the stack has.</summary>
    public int First { get; init; }

    /// <summary>The last layer that may be one; the stack's last where null.</summary>
    public int? Last { get; init; }

    /// <summary>Of the layers from the first to the last every n-th, the first included; at least 1.</summary>
    public int Every { get; init; } = 1;

    /// <summary>Their mixer; as the pattern of layers says where null.</summary>
    public MixerOptions? Attention { get; init; }

    /// <summary>Their feed-forward; the stack's where null.</summary>
    public FeedForwardOptions? FeedForward { get; init; }

    /// <summary>Whether a layer is one of these.</summary>
    public bool Has(int layer) => layer >= First && layer <= (Last ?? int.MaxValue) && (layer - First) % Every == 0;

    internal void Check(PartBuilder part, int layers)
    {
        part.Require(First >= 0, "first", First, "0 or above");
        part.Require(Last is null || Last >= First, "last", Last, $"first, {First}, or above");
        part.Require(First < layers, "first", First, $"below {layers}, the number of layers");
        part.Require(Every >= 1, "every", Every, "at least 1");
        part.Require(Attention is not null || FeedForward is not null, "attention", null, "an attention, a feedForward, or both");
    }
}
