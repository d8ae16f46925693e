using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>The <paramref name="count"/> largest entries of each row, largest first; of equals the first. NaN counts as the
    /// largest, so that it is not hidden. No gradient.</summary>
    /// <param name="scores">[rows, width].</param>
    /// <param name="count">From 1 to width.</param>
    /// <returns>I32 [rows, count]: their indices.</returns>
    public static Tensor TopIndices(Tensor scores, int count)
    {
        var (rows, width) = (scores.Shape.Rows, scores.Shape.Width);
        ShapeException.Require(scores.Shape.Rank == 2 && count >= 1 && count <= width, "top indices", "scores", scores, $"[rows, at least {count}]");
        var top = Tensor.Temporary([rows, count], ElementType.I32);
        for (var row = 0; row < rows; row++)
        {
            var from = scores.Floats.Slice(row * width, width);
            var to = top.Ints.Slice(row * count, count);
            for (var place = 0; place < count; place++)
            {
                var best = -1;
                for (var i = 0; i < width; i++)
                    if (!to[..place].Contains(i) && (best < 0 || Exceeds(from[i], from[best]))) best = i;
                to[place] = best;
            }
        }

        return top;
    }

    private static bool Exceeds(float value, float other) => !(value <= other) && !float.IsNaN(other);

    /// <summary>The chosen entries of each row, times <paramref name="scale"/>, divided by their sum if asked.</summary>
    /// <param name="scores">[rows, width]; positive where normalised.</param>
    /// <param name="choices">I32 [rows, count].</param>
    /// <param name="normalise">Whether a row's entries are to add up to <paramref name="scale"/>.</param>
    /// <param name="scale">Multiplies the result.</param>
    /// <returns>[rows, count].</returns>
    /// <exception cref="ShapeException">A choice is not a column of the scores.</exception>
    public static Tensor Select(Tensor scores, Tensor choices, bool normalise, float scale = 1)
    {
        ShapeException.Require(
            choices.Type == ElementType.I32 && choices.Shape.Rank == 2 && scores.Shape.Rank == 2 && choices.Shape[0] == scores.Shape[0],
            "select", "choices", choices, "scores", scores);
        var (rows, width, count) = (scores.Shape[0], scores.Shape[1], choices.Shape[1]);
        foreach (var choice in choices.Ints)
            if ((uint)choice >= (uint)width) throw new ShapeException($"select: choice {choice} is not one of {width} scores");

        var y = Tensor.Temporary(choices.Shape);
        for (var row = 0; row < rows; row++)
        {
            var sum = 0f;
            for (var i = row * count; i < (row + 1) * count; i++)
                sum += y.Floats[i] = scores.Floats[(row * width) + choices.Ints[i]];
            var factor = normalise ? scale / sum : scale;
            for (var i = row * count; i < (row + 1) * count; i++) y.Floats[i] *= factor;
        }

        if (Tape.Write<SelectEntry>(y, scores) is { } entry)
            (entry.Scores, entry.Choices, entry.Normalise, entry.Scale) = (scores, choices, normalise, scale);
        return y;
    }

    /// <summary>Multiplies groups of columns by a factor each: <c>y[row, g · size + i] = x[…] · factors[row, first + g] · scale</c>.</summary>
    /// <param name="x">[rows, groups · size].</param>
    /// <param name="factors">[rows, at least first + groups].</param>
    /// <param name="groups">How many groups the columns are cut into.</param>
    /// <param name="first">The first column of <paramref name="factors"/> that is used.</param>
    /// <param name="scale">Multiplies the result.</param>
    public static Tensor ScaleGroups(Tensor x, Tensor factors, int groups, int first = 0, float scale = 1)
    {
        ShapeException.Require(x.Shape.Rank == 2 && groups > 0 && x.Shape[1] % groups == 0, "scale groups", "x", x, $"[rows, a multiple of {groups}]");
        ShapeException.Require(
            factors.Shape.Rank == 2 && factors.Shape[0] == x.Shape[0] && first >= 0 && factors.Shape[1] >= first + groups,
            "scale groups", "factors", factors, "x", x);
        var y = Tensor.Temporary(x.Shape);
        var layout = new GroupLayout(x.Shape[1] / groups, groups, first, factors.Shape[1]);
        for (var group = 0; group < x.Shape[0] * groups; group++)
        {
            var span = x.Floats.Slice(group * layout.Size, layout.Size);
            TensorPrimitives.Multiply(
                span, factors.Floats[layout.Factor(group)] * scale, y.Floats.Slice(group * layout.Size, layout.Size));
        }

        if (Tape.Write<ScaleGroupsEntry>(y, x, factors) is { } entry)
            (entry.X, entry.Factors, entry.Layout, entry.Scale) = (x, factors, layout, scale);
        return y;
    }

    private readonly record struct GroupLayout(int Size, int Groups, int First, int FactorColumns)
    {
        public int Factor(int group) => (group / Groups * FactorColumns) + First + (group % Groups);
    }

    private sealed class SelectEntry : TapeEntry
    {
        public Tensor Scores = null!, Choices = null!;
        public bool Normalise;
        public float Scale;

        public override void Backward()
        {
            var dScores = Scores.Slot!.Add();
            var (rows, width, count) = (Scores.Shape[0], Scores.Shape[1], Choices.Shape[1]);
            for (var row = 0; row < rows; row++)
            {
                // Normalised: y_i = scale s_i / S, so ds_i = (scale dy_i − Σ_j y_j dy_j) / S.
                float sum = 1, along = 0;
                if (Normalise)
                {
                    sum = 0;
                    for (var i = row * count; i < (row + 1) * count; i++)
                    {
                        sum += Scores.Floats[(row * width) + Choices.Ints[i]];
                        along += Output.Floats[i] * OutputGradient[i];
                    }
                }

                for (var i = row * count; i < (row + 1) * count; i++)
                    dScores[(row * width) + Choices.Ints[i]] += ((Scale * OutputGradient[i]) - along) / sum;
            }
        }
    }

    private sealed class ScaleGroupsEntry : TapeEntry
    {
        public Tensor X = null!, Factors = null!;
        public GroupLayout Layout;
        public float Scale;

        public override void Backward()
        {
            var dx = X.Slot is { } x ? x.Add() : default;
            var dFactors = Factors.Slot is { } factors ? factors.Add() : default;
            for (var group = 0; group < X.Shape[0] * Layout.Groups; group++)
            {
                var at = Layout.Factor(group);
                var dy = OutputGradient.Slice(group * Layout.Size, Layout.Size);
                if (dFactors.Length > 0)
                    dFactors[at] += Scale * TensorPrimitives.Dot(dy, X.Floats.Slice(group * Layout.Size, Layout.Size));
                if (dx.Length == 0) continue;
                var row = dx.Slice(group * Layout.Size, Layout.Size);
                TensorPrimitives.MultiplyAdd(dy, Factors.Floats[at] * Scale, row, row);
            }
        }
    }
}
