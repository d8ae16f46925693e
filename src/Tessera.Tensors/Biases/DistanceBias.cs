namespace Tessera.Tensors;

/// <summary>A bias that depends on head and distance alone. A tile of 64 × 64 scores has 127 distances: it asks for their biases
/// once, as a strip, and adds that shifted by one from each key to the next; the gradient comes back as such a strip too.
/// Strips are asked for and given back by several threads at once.</summary>
internal abstract class DistanceBias : ScoreBias
{
    /// <summary>The longest strip.</summary>
    public const int MaxStrip = 2 * BlockMask.KeysPerWord;

    /// <summary>How many heads the bias is for.</summary>
    public abstract int Heads { get; }

    /// <summary>How many numbers of each head have a gradient.</summary>
    public abstract int LearnedOfHead { get; }

    /// <summary>Gives the biases of consecutive relative positions, position of the key less that of the query; NaN only as
    /// <see cref="float.NaN"/>.</summary>
    /// <param name="head">Query head.</param>
    /// <param name="first">The relative position of the first.</param>
    /// <param name="strip">What to fill, at most <see cref="MaxStrip"/>.</param>
    public abstract void Fill(int head, int first, Span<float> strip);

    /// <summary>Adds what a strip of gradients gives to those of the head's learned numbers.</summary>
    /// <param name="first">The relative position of the first.</param>
    /// <param name="strip">The gradient of the bias of each relative position.</param>
    /// <param name="sums">[<see cref="LearnedOfHead"/>].</param>
    public abstract void Collect(int first, ReadOnlySpan<float> strip, Span<double> sums);

    /// <summary>Adds the sums of all heads to the gradient.</summary>
    /// <param name="sums">[heads, <see cref="LearnedOfHead"/>].</param>
    public abstract void AddGradient(ReadOnlySpan<double> sums);

    /// <inheritdoc/>
    internal sealed override void Require(Tensor queries, BlockMask mask)
    {
        if (Heads != queries.Shape[2])
            throw new ShapeException($"attention: the bias is for {Heads} heads, which does not fit queries, {queries}");
    }

    /// <summary>The number as it is or, where it is none, the NaN whose lower bits are 0: others would not survive powers and
    /// rounding.</summary>
    public static float Quiet(float value) => float.IsNaN(value) ? float.NaN : value;
}
