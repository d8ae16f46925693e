using Tessera.Nn;
using Tessera.Nn.Weights;

namespace Tessera.Models;

/// <summary>How the model kinds set up their embedding tables and heads.</summary>
internal static class Embeddings
{
    /// <summary>A table whose entries start with deviation 1/√width and are multiplied by √width when looked up, so that
    /// the same table gives logits of about unit size (Vaswani et al. 2017, section 3.4).</summary>
    /// <param name="part">Where the weights come from.</param>
    /// <param name="vocabulary">How many tokens.</param>
    /// <param name="width">The width of a vector.</param>
    /// <param name="scale">Another factor than √width.</param>
    public static Embedding Of(PartBuilder part, int vocabulary, int width, float? scale) =>
        new(part, vocabulary, width, scale ?? MathF.Sqrt(width), 1 / Math.Sqrt(width));

    /// <summary>What maps vectors to logits: where it is tied, a weight of its own that begins with the form of the embedding's, so
    /// that both can be exchanged together or, as by adapters, each alone.</summary>
    /// <param name="part">The model's.</param>
    /// <param name="embedding">What it may be tied to.</param>
    /// <param name="vocabulary">How many tokens.</param>
    /// <param name="isTied">Whether it is.</param>
    public static Weight Head(PartBuilder part, Embedding embedding, int vocabulary, bool isTied) => isTied
        ? new Weight(embedding.Weight.Form)
        : new Weight(part.At("lm_head").Matrix("weight", vocabulary, part.Width, mayBeStored: true));
}
