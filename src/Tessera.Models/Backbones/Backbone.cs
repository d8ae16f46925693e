using Tessera.Nn;
using Tessera.Nn.Caches;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>What of a model reads tokens and gives hidden states; a <see cref="Nn.Heads.Head"/> says something of these.</summary>
public abstract class Backbone : Module
{
    /// <summary>The width of the hidden states.</summary>
    public abstract int OutputWidth { get; }

    /// <summary>The table of what <see cref="Forward"/> gives hidden states of, which a head may be tied to.</summary>
    public abstract Embedding Embedding { get; }

    /// <summary>Whether it reads a source sequence besides.</summary>
    public virtual bool ReadsSource => false;

    /// <summary>The part that reads tokens one after the other, and so has caches; null where only whole sequences are read.</summary>
    public virtual Module? Decoder => null;

    /// <summary>The hidden states of a batch.</summary>
    /// <param name="batch">Its inputs are read, and its sources where there are any.</param>
    /// <param name="context">Its positions are the batch's.</param>
    /// <returns>[batch, length, width].</returns>
    public abstract Tensor Forward(Batch batch, ForwardContext context);

    /// <summary>The decoder alone: I32 [rows, length] to [rows, length, width].</summary>
    internal virtual Tensor Decode(Tensor inputs, ForwardContext context) =>
        throw new InvalidOperationException("this model reads whole texts: it has no decoder");

    /// <summary>Has the caches remember what the encoder says of sources; only where there is one.</summary>
    /// <param name="sources">Token ids.</param>
    /// <param name="sequences">The number of each one's sequence in the caches.</param>
    /// <param name="caches">Of this model.</param>
    internal virtual void Remember(IReadOnlyList<int[]> sources, ReadOnlySpan<int> sequences, CacheSet caches) =>
        throw new InvalidOperationException("this model reads no source");

    /// <summary>A table whose entries start with deviation 1/√width and are multiplied by √width when looked up, so that what is looked up
    /// has unit size (Vaswani et al. 2017, section 3.4).
    /// <para>One that gives the logits too starts smaller by the factor that it is multiplied by, 1/width where that is √width: the stream
    /// of an untrained model points where its token's own entry does, so that this token would have a logit of √width and the loss would
    /// begin far above that of guessing. This is the deviation of output layers in Yang et al. 2022 (Tensor Programs V),
    /// <see href="https://arxiv.org/abs/2203.03466"/>, table 3.</para></summary>
    /// <param name="part">Where the weights come from.</param>
    /// <param name="vocabulary">How many tokens.</param>
    /// <param name="width">The width of a vector.</param>
    /// <param name="scale">Another factor than √width.</param>
    /// <param name="isTied">Whether the table gives the logits, too.</param>
    private protected static Embedding Table(PartBuilder part, int vocabulary, int width, float? scale, bool isTied = false)
    {
        var factor = scale ?? MathF.Sqrt(width);
        var smaller = isTied ? Math.Max(1, factor) : 1;
        return new(part, vocabulary, width, factor, 1 / (Math.Sqrt(width) * smaller));
    }
}
