using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Takes packed rows apart, a row for each segment, for what reads a sequence from its beginning, and puts them together again. Where
/// the rows of the result have no token they are zeros; gradients go back the way the tokens came.
/// </summary>
public readonly struct SegmentPlan
{
    /// <summary>Row by row, where each token of a result comes from; −1: nowhere.</summary>
    private readonly Tensor _taken, _placed;

    private SegmentPlan(Tensor taken, Tensor placed, Tensor lengths) => (_taken, _placed, Lengths) = (taken, placed, lengths);

    /// <summary>I32 [segments]: how long each is, in the order in which they stand in the rows.</summary>
    public Tensor Lengths { get; }

    /// <summary>The length of the longest segment.</summary>
    public int Longest => _taken.Shape[1];

    /// <summary>Which sequence each token of some rows belongs to, numbered from 0 through all rows: a row each, or a segment each where
    /// rows are packed.</summary>
    /// <param name="tokens">How many tokens there are.</param>
    /// <param name="rows">In how many rows of equal length.</param>
    /// <param name="segments">As of <see cref="Of"/>; null where rows are not packed.</param>
    /// <param name="padding">Which tokens belong to none.</param>
    /// <returns>I32 [tokens]; −1 for padding.</returns>
    public static Tensor Numbers(int tokens, int rows, Tensor? segments, in TokenPadding padding)
    {
        var sequences = Tensor.Temporary([tokens], ElementType.I32);
        var numbers = sequences.Ints;
        var (length, last) = (tokens / Math.Max(1, rows), -1);
        for (var token = 0; token < tokens; token++)
        {
            var goesOn = token % length > 0 && last >= 0 && (segments is null || segments.Ints[token] == segments.Ints[token - 1]);
            numbers[token] = !padding.IsNone && padding[token] ? -1 : goesOn ? last : last + 1;
            last = Math.Max(last, numbers[token]);
        }

        GC.KeepAlive(segments);
        return sequences;
    }

    /// <summary>The plan of some packed rows.</summary>
    /// <param name="segments">I32 [batch, length]: runs of equal numbers are segments, numbers below 0 padding. A segment ends with its
    /// row.</param>
    /// <exception cref="ShapeException">The segments are not I32 [batch, length].</exception>
    public static SegmentPlan Of(Tensor segments)
    {
        ShapeException.Require(
            segments.Type == ElementType.I32 && segments.Shape.Rank == 2, "segment plan", "segments", segments, "I32 [batch, length]");
        var all = segments.Ints;
        var width = segments.Shape[1];
        var (count, longest) = Measure(all, width);
        var taken = Tensor.Temporary([count, longest], ElementType.I32);
        var placed = Tensor.Temporary(segments.Shape, ElementType.I32);
        var lengths = Tensor.Temporary([count], ElementType.I32);
        taken.Ints.Fill(-1);
        placed.Ints.Fill(-1);
        var segment = -1;
        for (var token = 0; token < all.Length; token++)
        {
            if (all[token] < 0) continue;
            if (Begins(all, token, width)) lengths.Ints[++segment] = 0;
            var place = (segment * longest) + lengths.Ints[segment]++;
            taken.Ints[place] = token;
            placed.Ints[token] = place;
        }

        GC.KeepAlive(segments);
        return new SegmentPlan(taken, placed, lengths);
    }

    /// <summary>Takes rows apart.</summary>
    /// <param name="x">[batch, length, width].</param>
    /// <returns>[segments, longest, width].</returns>
    /// <exception cref="ShapeException">x is not of the packed rows' tokens.</exception>
    public Tensor Take(Tensor x) => Move("take segments", x, _taken, _placed);

    /// <summary>Puts rows together again.</summary>
    /// <param name="y">[segments, longest, width].</param>
    /// <returns>[batch, length, width].</returns>
    /// <exception cref="ShapeException">y is not of the segments' tokens.</exception>
    public Tensor Place(Tensor y) => Move("place segments", y, _placed, _taken);

    private static (int Count, int Longest) Measure(ReadOnlySpan<int> all, int width)
    {
        var (count, longest, length) = (0, 0, 0);
        for (var token = 0; token < all.Length; token++)
        {
            if (all[token] < 0) continue;
            if (Begins(all, token, width)) (count, length) = (count + 1, 0);
            longest = Math.Max(longest, ++length);
        }

        return (count, longest);
    }

    private static bool Begins(ReadOnlySpan<int> all, int token, int width) => token % width == 0 || all[token] != all[token - 1];

    /// <param name="operation">Its name, for errors.</param>
    /// <param name="x">[…, …, width].</param>
    /// <param name="from">For each token of the result its place in x.</param>
    /// <param name="back">For each token of x its place in the result.</param>
    private static Tensor Move(string operation, Tensor x, Tensor from, Tensor back)
    {
        ShapeException.Require(x.Shape.Rank == 3 && back.Shape == [x.Shape[0], x.Shape[1]], operation, "x", x, "segments", back);
        var width = x.Shape[2];
        var y = Tensor.Temporary([from.Shape[0], from.Shape[1], width]);
        RowKernels.Run(new MovedRows { From = x.Floats, Places = from.Ints, To = y.Floats, Width = width }, y.Shape.Rows, 2L * width);
        if (Tape.Write<MoveEntry>(y, x) is { } entry) (entry.X, entry.Back) = (x, back);
        GC.KeepAlive(x);
        return y;
    }

    private ref struct MovedRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> From;
        public ReadOnlySpan<int> Places;
        public Span<float> To;
        public int Width;
        public bool Accumulate;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var to = To.Slice(row * Width, Width);
                if (Places[row] < 0)
                {
                    if (!Accumulate) to.Clear();
                    continue;
                }

                var from = From.Slice(Places[row] * Width, Width);
                if (Accumulate) TensorPrimitives.Add(from, to, to);
                else from.CopyTo(to);
            }
        }
    }

    private sealed class MoveEntry : TapeEntry
    {
        public Tensor X = null!, Back = null!;

        public override void Backward()
        {
            var dx = X.Slot!.Write(out var accumulate);
            var work = new MovedRows { From = OutputGradient, Places = Back.Ints, To = dx, Width = X.Shape[2], Accumulate = accumulate };
            RowKernels.Run(work, X.Shape.Rows, 2L * work.Width);
        }
    }
}
