using System.Numerics.Tensors;

namespace Tessera.Tensors;

/// <summary>How a sequence of vectors becomes one.</summary>
public enum Pooling
{
    /// <summary>That of the first place, as BERT's <c>[CLS]</c>.</summary>
    First,

    /// <summary>The mean of all places.</summary>
    Mean,

    /// <summary>That of the last place.</summary>
    Last,
}

public static partial class Op
{
    /// <summary>One vector for each sequence: its first, its last, or the mean of all.</summary>
    /// <param name="x">[batch, length, width].</param>
    /// <param name="pooling">Which.</param>
    /// <param name="lengths">I32 [batch]: how many places of each row are real, at most length; a row of 0 counts as one of 1.
    /// All where null.</param>
    /// <returns>[batch, width].</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or a row is longer than it can be.</exception>
    public static Tensor Pool(Tensor x, Pooling pooling, Tensor? lengths = null)
    {
        ShapeException.Require(x.Shape.Rank == 3 && x.Shape[1] > 0, "pool", "x", x, "[batch, length, width]");
        RequireLengths("pool", lengths, x.Shape[0], x.Shape[1]);
        var (rows, length, width) = (x.Shape[0], x.Shape[1], x.Shape[2]);
        var y = Tensor.Temporary([rows, width]);
        for (var row = 0; row < rows; row++)
        {
            var (first, count) = Pooled(pooling, lengths, row, length);
            var to = y.Floats.Slice(row * width, width);
            x.Floats.Slice(((row * length) + first) * width, width).CopyTo(to);
            for (var place = first + 1; place < first + count; place++)
                TensorPrimitives.Add(to, x.Floats.Slice(((row * length) + place) * width, width), to);
            if (count > 1) TensorPrimitives.Multiply(to, 1f / count, to);
        }

        if (Tape.Write<PoolEntry>(y, x) is { } entry) (entry.X, entry.Pooling, entry.Lengths) = (x, pooling, lengths);
        GC.KeepAlive(x);
        GC.KeepAlive(lengths);
        return y;
    }

    /// <summary>Which places of a row make up its vector.</summary>
    private static (int First, int Count) Pooled(Pooling pooling, Tensor? lengths, int row, int length)
    {
        var real = lengths is null ? length : Math.Max(1, lengths.Ints[row]);
        return pooling switch
        {
            Pooling.First => (0, 1),
            Pooling.Last => (real - 1, 1),
            _ => (0, real),
        };
    }

    private static void RequireLengths(string operation, Tensor? lengths, int rows, int length)
    {
        if (lengths is null) return;
        ShapeException.Require(
            lengths.Type == ElementType.I32 && lengths.Shape.Rank == 1 && lengths.Shape[0] == rows,
            operation, "lengths", lengths, $"I32 [{rows}]");
        foreach (var real in lengths.Ints)
            if ((uint)real > (uint)length) throw new ShapeException($"{operation}: a row has the length {real}; allowed: 0 to {length}");
    }

    private sealed class PoolEntry : TapeEntry
    {
        public Tensor X = null!;
        public Tensor? Lengths;
        public Pooling Pooling;

        public override void Backward()
        {
            var dx = X.Slot!.Add();
            var dy = OutputGradient;
            var (rows, length, width) = (X.Shape[0], X.Shape[1], X.Shape[2]);
            for (var row = 0; row < rows; row++)
            {
                var (first, count) = Pooled(Pooling, Lengths, row, length);
                for (var place = first; place < first + count; place++)
                {
                    var to = dx.Slice(((row * length) + place) * width, width);
                    TensorPrimitives.MultiplyAdd(dy.Slice(row * width, width), 1f / count, to, to);
                }
            }
        }
    }
}
