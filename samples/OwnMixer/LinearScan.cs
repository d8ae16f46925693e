using Tessera.Tensors;

namespace OwnMixer;

/// <summary>
/// <c>h[t] = kept[t] · h[t−1] + added[t]</c>, element by element, for all t at once: two neighbouring steps are one step of twice the
/// reach, so that log₂ length rounds of operations on whole tensors do (Hillis and Steele 1986, doi:10.1145/7902.7903). Work and, while
/// training, memory are O(length · log length); its gradient is that of the operations it is made of.
/// </summary>
internal static class LinearScan
{
    /// <summary>All states.</summary>
    /// <param name="kept">[rows, length, width]: the share of the state that stays, finite.</param>
    /// <param name="added">The same shape.</param>
    /// <param name="segments">I32 [rows, length]: runs of equal numbers are sequences of their own; null: one a row.</param>
    /// <param name="before">[rows, width]: the state that each row goes on from; zeros where null.</param>
    /// <returns>[rows, length, width].</returns>
    public static Tensor Run(Tensor kept, Tensor added, Tensor? segments, Tensor? before = null)
    {
        var shape = kept.Shape;
        var (length, tokens) = (shape[1], shape.Rows);
        if (length == 1) return before is null ? added : Op.Add(added, Op.Multiply(kept, before.Reshape(shape)));

        // The first token of a sequence keeps nothing. A product of what is kept that reaches back to it is 0, and what lies before it
        // has no effect: neither another segment nor another row.
        (kept, added) = (kept.Reshape([tokens, shape.Width]), added.Reshape([tokens, shape.Width]));
        var marks = Marks(shape[0], length, segments);
        if (before is not null)
        {
            var shares = Op.Multiply(kept, Op.Embedding(RowOfEach(tokens, length), before));
            added = Op.Add(added, Op.ScaleGroups(shares, marks, groups: 1, first: 0));
        }

        kept = Op.ScaleGroups(kept, marks, groups: 1, first: 1);
        for (var reach = 1; reach < length; reach *= 2)
        {
            var earlier = Earlier(tokens, reach);
            added = Op.Add(added, Op.Multiply(kept, Op.Embedding(earlier, added)));
            if (2 * reach < length) kept = Op.Multiply(kept, Op.Embedding(earlier, kept));
        }

        return added.Reshape(shape);
    }

    /// <summary>[rows, width]: the last state of each row of [rows, length, width].</summary>
    public static Tensor Last(Tensor states)
    {
        var (rows, length, width) = (states.Shape[0], states.Shape[1], states.Shape.Width);
        if (length == 1) return states.Reshape([rows, width]);
        var last = Tensor.Temporary([rows], ElementType.I32);
        for (var row = 0; row < rows; row++) last.Ints[row] = ((row + 1) * length) - 1;
        return Op.Embedding(last, states.Reshape([rows * length, width]));
    }

    /// <summary>[tokens, 2]: whether a token is the first of its sequence, and whether it is not, as 1 or 0.</summary>
    private static Tensor Marks(int rows, int length, Tensor? segments)
    {
        var marks = Tensor.Temporary([rows * length, 2]);
        for (var token = 0; token < rows * length; token++)
        {
            var begins = token % length == 0 || (segments is not null && segments.Ints[token] != segments.Ints[token - 1]);
            (marks.Floats[2 * token], marks.Floats[(2 * token) + 1]) = begins ? (1, 0) : (0, 1);
        }

        return marks;
    }

    private static Tensor RowOfEach(int tokens, int length)
    {
        var rows = Tensor.Temporary([tokens], ElementType.I32);
        for (var token = 0; token < tokens; token++) rows.Ints[token] = token / length;
        return rows;
    }

    /// <summary>The token that stands so many before each; the first where there is none.</summary>
    private static Tensor Earlier(int tokens, int reach)
    {
        var earlier = Tensor.Temporary([tokens], ElementType.I32);
        for (var token = 0; token < tokens; token++) earlier.Ints[token] = Math.Max(0, token - reach);
        return earlier;
    }
}
