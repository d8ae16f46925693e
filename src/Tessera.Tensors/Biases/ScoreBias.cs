namespace Tessera.Tensors;

/// <summary>
/// What is added to the scores of <c>Op.Attention</c> after scale and cap, before the softmax. It is evaluated in each tile
/// of scores, forward, backward and while decoding; none but <see cref="Dense"/> takes memory in the square of the length.
/// <para>A distance is one of positions in the sequence: key <c>j</c> stands at position <c>j</c>, a query where the mask says, at
/// the end of its batch row's keys (see <see cref="BlockMask"/>). So sequences packed into one row keep their distances, and a
/// token that is decoded has those it had in the whole sequence.</para>
/// <para>Any number of attentions may share one bias; what they add to its gradient adds up, in an order that no timing changes.
/// One made in a scope of the <see cref="Arena"/> lives until the scope ends, as masks do; one made outside of any may be kept.</para>
/// </summary>
public abstract class ScoreBias : Recycled
{
    private protected ScoreBias()
    {
    }

    /// <summary><c>−slope[h] · |i − j|</c> (ALiBi: Press, Smith, Lewis 2021, <see href="https://arxiv.org/abs/2108.12409"/>).</summary>
    /// <param name="slopes">F32 [heads]. Has a gradient, for slopes that are learned.</param>
    /// <exception cref="ShapeException">The slopes are not F32 [heads].</exception>
    public static ScoreBias Linear(Tensor slopes) => LinearBias.Of(slopes);

    /// <summary><c>table[bucket(j − i), h]</c>, near distances having a bucket each, far ones sharing logarithmically wider ones (T5:
    /// Raffel et al. 2019, <see href="https://arxiv.org/abs/1910.10683"/>, section 2.1).</summary>
    /// <param name="table">F32 [buckets, heads]. Has a gradient.</param>
    /// <param name="maxDistance">From this distance on all share the last bucket; more than have a bucket each, which is half of the
    /// buckets of a side.</param>
    /// <param name="bidirectional">Whether keys after the query have buckets of their own, the second half; else they share that of
    /// distance 0.</param>
    /// <exception cref="ShapeException">The table is not F32 [buckets, heads], or has fewer than two buckets for a side.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The distance is too small.</exception>
    public static ScoreBias Buckets(Tensor table, int maxDistance, bool bidirectional) => BucketBias.Of(table, maxDistance, bidirectional);

    /// <summary>
    /// <c>scale · positionQueries[i, h] · positionKeys[i − j, h]</c>, the positional half of the scores of Transformer-XL and XLNet
    /// (Dai et al. 2019, <see href="https://arxiv.org/abs/1901.02860"/>, section 3.3: <c>(q + v) · W r</c>; the other half,
    /// <c>(q + u) · k</c>, is what attention does with <c>q + u</c> as queries). A distance that has no row takes the nearest one's,
    /// which is how distances are clamped (XLNet's <c>clamp_len</c>; Shaw et al. 2018, <see href="https://arxiv.org/abs/1803.02155"/>).
    /// </summary>
    /// <param name="positionQueries">F32 [batch, queries, heads, width], the width being any. Has a gradient.</param>
    /// <param name="positionKeys">F32 [distances, heads, width]: row <c>n</c> is for <c>i − j = firstDistance + n</c>. Has a
    /// gradient.</param>
    /// <param name="firstDistance">0 where no key after a query is seen; <c>1 − length</c> where all are.</param>
    /// <param name="scale">Factor of the products; 1/√width unless said.</param>
    /// <exception cref="ShapeException">Shapes do not fit each other, or there is no distance.</exception>
    public static ScoreBias Relative(Tensor positionQueries, Tensor positionKeys, int firstDistance = 0, float? scale = null) =>
        RelativeBias.Of(positionQueries, positionKeys, firstDistance, scale);

    /// <summary><c>bias[h, i, j]</c>, a table of all pairs: memory O(heads · queries · keys).</summary>
    /// <param name="bias">F32 [heads, queries, keys] or [batch, heads, queries, keys]. Has a gradient.</param>
    /// <exception cref="ShapeException">The tensor is not F32 of 3 or 4 axes.</exception>
    public static ScoreBias Dense(Tensor bias) => DenseBias.Of(bias);

    /// <summary>What the bias is computed from.</summary>
    internal abstract (Tensor First, Tensor? Second) Inputs { get; }

    /// <summary>Throws <see cref="ShapeException"/> unless the bias is for such queries and such a mask.</summary>
    /// <param name="queries">F32 [batch, queries, heads, width].</param>
    /// <param name="mask">Who sees whom.</param>
    internal abstract void Require(Tensor queries, BlockMask mask);
}
