using Tessera.Nn;

namespace Tessera.Models;

/// <summary>How the model kinds set up their embedding tables.</summary>
internal static class Embeddings
{
    /// <summary>A table whose entries start with deviation 1/√width and are multiplied by √width when looked up, so that
    /// the same table gives logits of about unit size (Vaswani et al. 2017, section 3.4).</summary>
    public static Embedding Of(PartBuilder part, int vocabulary, int width) =>
        new(part, vocabulary, width, MathF.Sqrt(width), 1 / Math.Sqrt(width));
}
