using System.Numerics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// One tile of scores: up to <see cref="Size"/> queries of one head against up to <see cref="Size"/> keys. It lies
/// <em>transposed</em>: a row is one key, the lanes of a vector are consecutive queries. So keys and values are read where they
/// are, a number at a time, the softmax works down the rows without crossing lanes, and only the queries are packed, once.
/// </summary>
internal unsafe struct FlashAttentionTile
{
    /// <summary>Max queries and most keys of a tile: a word of a mask is a row of it.</summary>
    public const int Size = BlockMask.KeysPerWord;

    public int Batch, Head, FirstQuery, Queries;

    /// <summary><see cref="Queries"/> rounded up to whole vectors of each half of a word: the length of each row in memory.</summary>
    public int Lanes;

    public int FirstKey, Keys;

    /// <summary>Where the queries do not follow each other: which they are, and whether they see all of the keys they are put to; else
    /// null.</summary>
    private int* _indices;
    private bool _seesAll;

    /// <summary>[words of the width, lanes]: the queries, transposed, times scale and log₂ e.</summary>
    public float* PackedQueries;

    /// <summary>[keys, lanes].</summary>
    public float* Scores;

    /// <summary>Room for <see cref="Size"/> words of the mask.</summary>
    public ulong* Words;

    /// <summary>Room for <see cref="FlashAttentionBias"/>.</summary>
    public float* BiasRoom;

    /// <summary>Makes this the tile of the queries from <paramref name="firstQuery"/> on.</summary>
    public void Select<V, F>(in FlashAttentionProblem problem, int batch, int head, int firstQuery)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        (Batch, Head, FirstQuery) = (batch, head, firstQuery);
        _indices = null;
        Queries = Math.Min(Size, problem.QueryCount - firstQuery);
        Lanes = FlashAttention.RoundUp(Queries, V.Count * F.PerWord);
    }

    /// <summary>Makes this a tile of queries from anywhere.</summary>
    public void Select<V, F>(in FlashAttentionGroup group, int batch, int head)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        (Batch, Head, Queries, _seesAll) = (batch, head, group.Count, group.SeesAll);
        _indices = group.Indices;
        Lanes = FlashAttention.RoundUp(Queries, V.Count * F.PerWord);
    }

    /// <summary>Which query of the head is the tile's nth.</summary>
    public readonly int Query(int n) => _indices == null ? FirstQuery + n : _indices[n];

    /// <summary>Whether the queries stand side by side, one position after the other.</summary>
    public readonly bool IsConsecutive => _indices == null;

    /// <summary>Where the tile's nth query stands among the keys.</summary>
    public readonly int Position(in FlashAttentionProblem problem, int n) => problem.Mask.Position(Batch, Query(n));

    /// <summary>The rows of the tile's queries: where they are or, if they do not follow each other, copied to
    /// <paramref name="room"/>.</summary>
    public readonly (nint Address, nint Stride) Rows<V>(in AttentionRows rows, int width, float* room) where V : struct, ILanes<V>
    {
        if (_indices == null) return ((nint)rows.At(Batch, Head, FirstQuery), rows.Stride);
        for (var query = 0; query < Queries; query++)
            FlashAttention.ScaleRow<V>(rows.At(Batch, Head, _indices[query]), 1, width, room + (query * (nint)width));
        return ((nint)room, width);
    }

    /// <summary>Packs rows of queries (or of what has their layout) into columns, unused lanes zero.</summary>
    public readonly void Pack(float* rows, nint stride, int width, float factor, float* packed)
    {
        FlashAttentionTranspose.Run(rows, stride, Queries, width, factor, packed, Lanes);
        if (Lanes == Queries) return;
        for (var d = 0; d < width; d++) new Span<float>(packed + (d * Lanes) + Queries, Lanes - Queries).Clear();
    }

    /// <summary>As <see cref="Pack"/>, into words: of rows that are factors of a sum over the width.</summary>
    public readonly void PackFactors<V, F>(float* rows, nint stride, int width, float factor, float* packed)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        Pack(rows, stride, width, factor, packed);
        if (F.PerWord > 1) F.PackRows(packed, Lanes, width, width, Lanes, 1, packed, Lanes);
    }

    /// <summary>Those of some keys, from the first of a tile on, beyond which no query of the tile sees any.</summary>
    public readonly (int First, int Last) Reach(in FlashAttentionProblem problem, int firstKey, int lastKey)
    {
        if (_indices != null) return (firstKey, lastKey);
        var (first, last) = problem.Mask.Reach(Batch, Head, FirstQuery, Queries);
        return (Math.Max(firstKey, first / Size * Size), Math.Min(lastKey, last));
    }

    /// <summary>Moves to a tile of keys and says what of it the mask lets through.</summary>
    public Coverage Visit(in FlashAttentionProblem problem, int firstKey)
    {
        (FirstKey, Keys) = (firstKey, Math.Min(Size, problem.KeyCount - firstKey));
        if (!problem.Keys.Keeps(Batch, firstKey)) return Coverage.None;
        var coverage = _indices == null ? problem.Mask.Tile(Batch, Head, FirstQuery, Queries, FirstKey, Keys)
            : _seesAll ? Coverage.All : Coverage.Some;
        if (coverage != Coverage.Some) return coverage;

        var present = ulong.MaxValue >> (Size - Keys);
        var (any, all) = (0UL, present);
        for (var query = 0; query < Queries; query++)
        {
            var word = problem.Mask.Row(Batch, Head, Query(query), FirstKey) & present;
            Words[query] = word;
            any |= word;
            all &= word;
        }

        if (any == 0) return Coverage.None;
        if (all == present) return Coverage.All;
        var side = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(Queries, Keys));
        for (var query = Queries; query < side; query++) Words[query] = 0;
        Transpose(Words, side);
        return Coverage.Some;
    }

    /// <summary>Computes the scores, −∞ where the mask forbids.</summary>
    /// <param name="problem">What is computed.</param>
    /// <param name="coverage">What <see cref="Visit"/> said.</param>
    /// <param name="slope">[keys, lanes] for the derivative of the soft cap, or null.</param>
    public readonly void Score<V, F>(in FlashAttentionProblem problem, Coverage coverage, float* slope)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var keys = problem.KeyWords.At(Batch, Head / problem.Group, FirstKey);
        F.Multiply(
            keys, problem.KeyWords.Stride, 1, PackedQueries, Lanes, Scores, Lanes, Keys, Lanes,
            F.Words(problem.Width), add: false);
        if (problem.SoftCap > 0) Cap<V>(Scores, Keys * Lanes, problem.SoftCap * FlashAttentionProblem.Log2E, slope);
        if (!problem.Bias.IsNone) problem.Bias.Add<V, F>(problem, this);
        if (coverage == Coverage.Some) Hide<V>();
    }

    /// <summary><c>cap · tanh(score / cap)</c> with <c>tanh z = 1 − 2 / (e²ᶻ + 1)</c>; its slope is 1 − tanh².</summary>
    public static void Cap<V>(float* scores, int count, float cap, float* slope) where V : struct, ILanes<V>
    {
        V toExponent = V.All(2 * FlashAttentionProblem.Log2E / cap), max = V.All(-40), one = V.All(1);
        for (var i = 0; i < count; i += V.Count)
        {
            // Between −40 and 40 the power is finite, and beyond the tangent is 1 to the last bit.
            var z = V.Larger(max, V.Zero - (V.Load(scores + i) * toExponent));
            var power = V.Exp2(V.Larger(max, V.Zero - z));
            var tangent = one - (V.All(2) / (power + one));
            (tangent * V.All(cap)).Store(scores + i);
            if (slope != null) (one - (tangent * tangent)).Store(slope + i);
        }
    }

    private readonly void Hide<V>() where V : struct, ILanes<V>
    {
        var hidden = V.All(float.NegativeInfinity);
        for (var key = 0; key < Keys; key++)
        {
            var word = Words[key];
            for (var lane = 0; lane < Lanes; lane += V.Count)
            {
                var scores = Scores + (key * Lanes) + lane;
                V.Where((uint)(word >> lane), V.Load(scores), hidden).Store(scores);
            }
        }
    }

    /// <summary>Makes bit q of word k what bit k of word q was, in a square of <paramref name="side"/> = 2ⁿ bits (Warren, Hacker's
    /// Delight, section 7-3).</summary>
    private static void Transpose(ulong* words, int side)
    {
        for (var half = side / 2; half != 0; half >>= 1)
        {
            var low = ulong.MaxValue / ((1UL << half) + 1);
            for (var k = 0; k < side; k = (k + half + 1) & ~half)
            {
                var swapped = ((words[k] >> half) ^ words[k + half]) & low;
                words[k + half] ^= swapped;
                words[k] ^= swapped << half;
            }
        }
    }
}

/// <summary>Working memory of attention: a block for each thread, kept and used again.</summary>
internal static unsafe class FlashAttentionScratch
{
    [ThreadStatic] private static NativeBuffer? s_buffer;

    /// <summary>Room for some floats, aligned and not set, valid until the thread asks again.</summary>
    public static float* Floats(long count) => (float*)NativeBuffer.AtLeast(ref s_buffer, checked(count * sizeof(float)));
}
