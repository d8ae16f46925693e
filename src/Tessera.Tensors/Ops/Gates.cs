using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

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
        ShapeException.Require(
            scores.Shape.Rank == 2 && count >= 1 && count <= width, "top indices", "scores", scores, $"[rows, at least {count}]");
        var top = Tensor.Temporary([rows, count], ElementType.I32);
        var work = new TopRows { Scores = scores.Floats, Top = top.Ints, Width = width, Count = count };
        RowKernels.Run(work, rows, 2L * width * count);
        GC.KeepAlive(scores);
        return top;
    }

    private ref struct TopRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> Scores;
        public Span<int> Top;
        public int Width, Count;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++) LargestOf(Scores.Slice(row * Width, Width), Top.Slice(row * Count, Count));
        }
    }

    /// <summary>Where the largest of some scores stand, as <see cref="TopIndices"/> orders them.</summary>
    private static void LargestOf(ReadOnlySpan<float> scores, Span<int> places)
    {
        for (var place = 0; place < places.Length; place++)
        {
            var best = -1;
            for (var i = 0; i < scores.Length; i++)
                if ((best < 0 || Exceeds(scores[i], scores[best])) && !places[..place].Contains(i)) best = i;
            places[place] = best;
        }
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
        var all = scores.Floats;
        var chosen = choices.Ints;
        var values = y.Floats;
        for (var row = 0; row < rows; row++)
        {
            var sum = 0f;
            for (var i = row * count; i < (row + 1) * count; i++) sum += values[i] = all[(row * width) + chosen[i]];
            var factor = normalise ? scale / sum : scale;
            for (var i = row * count; i < (row + 1) * count; i++) values[i] *= factor;
        }

        if (Tape.Write<SelectEntry>(y, scores) is { } entry)
            (entry.Scores, entry.Choices, entry.Normalise, entry.Scale) = (scores, choices, normalise, scale);
        GC.KeepAlive(scores);
        GC.KeepAlive(choices);
        return y;
    }

    /// <summary>Multiplies groups of columns by a factor each: <c>y[row, g · size + i] = x[…] · factors[row, first + g] ·
    /// scale</c>.</summary>
    /// <param name="x">[rows, groups · size].</param>
    /// <param name="factors">[rows, at least first + groups].</param>
    /// <param name="groups">How many groups the columns are cut into.</param>
    /// <param name="first">The first column of <paramref name="factors"/> that is used.</param>
    /// <param name="scale">Multiplies the result.</param>
    public static Tensor ScaleGroups(Tensor x, Tensor factors, int groups, int first = 0, float scale = 1)
    {
        ShapeException.Require(
            x.Shape.Rank == 2 && groups > 0 && x.Shape[1] % groups == 0, "scale groups", "x", x, $"[rows, a multiple of {groups}]");
        ShapeException.Require(
            factors.Shape.Rank == 2 && factors.Shape[0] == x.Shape[0] && first >= 0 && factors.Shape[1] >= first + groups,
            "scale groups", "factors", factors, "x", x);
        var y = Tensor.Temporary(x.Shape);
        var layout = new GroupLayout(x.Shape[1] / groups, groups, first, factors.Shape[1]);
        var work = new ScaledGroups { X = x.Floats, Factors = factors.Floats, Y = y.Floats, Layout = layout, Scale = scale };
        RowKernels.Run(work, x.Shape[0], 2L * x.Shape[1]);
        if (Tape.Write<ScaleGroupsEntry>(y, x, factors) is { } entry)
            (entry.X, entry.Factors, entry.Layout, entry.Scale) = (x, factors, layout, scale);
        GC.KeepAlive(x);
        GC.KeepAlive(factors);
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
            var (rows, width, count) = (Scores.Shape[0], Scores.Shape[1], Choices.Shape[1]);
            var dScores = Scores.Slot!.Add();
            ReadOnlySpan<float> scores = Scores.Floats, y = Output.Floats, dy = OutputGradient;
            ReadOnlySpan<int> choices = Choices.Ints;
            for (var row = 0; row < rows; row++)
            {
                // Normalised: y_i = scale s_i / S, so ds_i = (scale dy_i − Σ_j y_j dy_j) / S.
                float sum = 1, along = 0;
                if (Normalise)
                {
                    sum = 0;
                    for (var i = row * count; i < (row + 1) * count; i++)
                    {
                        sum += scores[(row * width) + choices[i]];
                        along += y[i] * dy[i];
                    }
                }

                for (var i = row * count; i < (row + 1) * count; i++)
                    dScores[(row * width) + choices[i]] += ((Scale * dy[i]) - along) / sum;
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
            var dy = OutputGradient;
            var accumulate = X.Slot == Factors.Slot; // a tensor that scales itself: both gradients add to one, and dy must stay
            var dx = X.Slot is not { } x ? default : accumulate ? x.Add() : x.WriteOver(Output.Slot!, out accumulate);
            var work = new GroupSlopes
            {
                X = X.Floats, Factors = Factors.Floats, Dy = dy, Dx = dx, DFactors = Factors.Slot is { } factors ? factors.Add() : default,
                Layout = Layout, Scale = Scale, Accumulate = accumulate,
            };
            RowKernels.Run(work, X.Shape[0], 3L * X.Shape[1]);
        }
    }

    private ref struct ScaledGroups : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Factors;
        public Span<float> Y;
        public GroupLayout Layout;
        public float Scale;

        public readonly void Run(int start, int end)
        {
            for (var group = start * Layout.Groups; group < end * Layout.Groups; group++)
            {
                var at = group * Layout.Size;
                TensorPrimitives.Multiply(X.Slice(at, Layout.Size), Factors[Layout.Factor(group)] * Scale, Y.Slice(at, Layout.Size));
            }
        }
    }

    /// <summary>The gradients of rows of x and of their factors; dx may lie where dy does.</summary>
    private ref struct GroupSlopes : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Factors, Dy;
        public Span<float> Dx, DFactors;
        public GroupLayout Layout;
        public float Scale;
        public bool Accumulate;

        public readonly void Run(int start, int end)
        {
            for (var group = start * Layout.Groups; group < end * Layout.Groups; group++)
            {
                var at = Layout.Factor(group);
                var dy = Dy.Slice(group * Layout.Size, Layout.Size);
                if (!DFactors.IsEmpty) DFactors[at] += Scale * TensorPrimitives.Dot(dy, X.Slice(group * Layout.Size, Layout.Size));
                if (Dx.IsEmpty) continue;
                var dx = Dx.Slice(group * Layout.Size, Layout.Size);
                if (Accumulate) TensorPrimitives.MultiplyAdd(dy, Factors[at] * Scale, dx, dx);
                else TensorPrimitives.Multiply(dy, Factors[at] * Scale, dx);
            }
        }
    }
}
