using Tessera.Nn;

namespace Tessera.Models;

/// <summary>How the model kinds set up their embedding tables.</summary>
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
}
