using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>Ours is theirs.</summary>
internal sealed class SameLayout(string ours, string theirs) : TensorLayout(ours, theirs)
{
    public override bool IsSame => true;

    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => Sizes(ours);

    public override MatrixRows? RowsOf(int index, Shape ours) => new MatrixRows(0, ours.Rank == 3 ? ours[1] : ours[0]);

    public override Stretch? StretchOf(int index, Shape ours) => new Stretch(0, 0, ours.Count);

    public override void Read(TheirTensors theirs, Tensor ours) => theirs.Read(0, ours.Type, ours.Bytes);

    public override void Write(Tensor ours, int index, Tensor theirs) => ours.Bytes.CopyTo(theirs.Bytes);
}

/// <summary>Ours is some rows of theirs, one after the other.</summary>
internal sealed class RowsLayout(string ours, string theirs, int first, int of) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => [of, .. Sizes(ours).Skip(1)];

    public override MatrixRows? RowsOf(int index, Shape ours) => new MatrixRows(first, of);

    public override Stretch? StretchOf(int index, Shape ours) => new Stretch(0, Start(ours), ours.Count);

    public override void Read(TheirTensors theirs, Tensor ours) => theirs.Read(0, ours.Type, ours.Bytes, Start(ours.Shape));

    public override void Write(Tensor ours, int index, Tensor theirs) =>
        ours.Bytes.CopyTo(theirs.Bytes[(int)ours.Type.Bytes(Start(ours.Shape))..]);

    private long Start(Shape ours) => first * (ours.Count / ours[0]);
}

/// <summary>Ours [rows, columns] is some columns of theirs [columns, of], or all of them.</summary>
internal sealed class TransposedLayout(string ours, string theirs, int first = 0, int? of = null) : TensorLayout(ours, theirs)
{
    private const int Tile = 32;

    public override bool Keeps(ElementType type) => type.BlockElements() == 1;

    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => [ours[1], of ?? ours[0]];

    public override MatrixRows? RowsOf(int index, Shape ours) => new MatrixRows(first, of ?? ours[0]);

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        var all = theirs.Read(0, ours.Type);
        var (rows, columns, width) = (ours.Shape[0], ours.Shape[1], all.Shape[1]);
        if (ours.Type.BlockBytes() == sizeof(float)) Turn<float>(all.Bytes, first, width, ours.Bytes, 0, columns, columns, rows);
        else Turn<ushort>(all.Bytes, first, width, ours.Bytes, 0, columns, columns, rows);
        GC.KeepAlive(all); // a span does not keep its memory
    }

    public override void Write(Tensor ours, int index, Tensor theirs)
    {
        var (rows, columns, width) = (ours.Shape[0], ours.Shape[1], theirs.Shape[1]);
        if (ours.Type.BlockBytes() == sizeof(float)) Turn<float>(ours.Bytes, 0, columns, theirs.Bytes, first, width, rows, columns);
        else Turn<ushort>(ours.Bytes, 0, columns, theirs.Bytes, first, width, rows, columns);
    }

    /// <summary>Writes each row of a part of one matrix as a column of a part of another, tile by tile, so that both stay in the
    /// caches.</summary>
    private static void Turn<T>(
        ReadOnlySpan<byte> from, int fromStart, int fromWidth, Span<byte> to, int toStart, int toWidth, int rows,
        int columns) where T : unmanaged
    {
        var source = MemoryMarshal.Cast<byte, T>(from)[fromStart..];
        var target = MemoryMarshal.Cast<byte, T>(to)[toStart..];
        for (var top = 0; top < rows; top += Tile)
        {
            for (var left = 0; left < columns; left += Tile)
            {
                for (var row = top; row < Math.Min(top + Tile, rows); row++)
                    for (var column = left; column < Math.Min(left + Tile, columns); column++)
                        target[(column * toWidth) + row] = source[(row * fromWidth) + column];
            }
        }
    }
}

/// <summary>Ours [count, …] is many of theirs, one after the other.</summary>
internal sealed class StackedLayout(string ours, IReadOnlyList<string> theirs) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => ours[0] == Theirs.Count
        ? [.. Sizes(ours).Skip(1)]
        : throw new InvalidOperationException($"the table of names makes '{Ours}' {ours} of {Theirs.Count} tensors");

    public override MatrixRows? RowsOf(int index, Shape ours) => ours.Rank == 3 ? new MatrixRows(0, ours[1], index) : null;

    public override Stretch? StretchOf(int index, Shape ours) =>
        new Stretch(index * (ours.Count / Theirs.Count), 0, ours.Count / Theirs.Count);

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        for (var index = 0; index < Theirs.Count; index++) theirs.Read(index, ours.Type, Part(ours, index));
    }

    public override void Write(Tensor ours, int index, Tensor theirs) => Part(ours, index).CopyTo(theirs.Bytes);

    private Span<byte> Part(Tensor ours, int index)
    {
        var all = ours.Bytes;
        var size = all.Length / Theirs.Count;
        return all.Slice(index * size, size);
    }
}

/// <summary>Ours holds the first halves of a head's rows before the second halves; in theirs the two rows that are rotated together
/// stand next to each other.</summary>
internal sealed class PairedRowsLayout(string ours, string theirs, int heads) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => ours[0] % (2 * heads) == 0
        ? Sizes(ours)
        : throw new InvalidOperationException($"the table of names cuts the rows of '{Ours}' {ours} into pairs of {heads} heads");

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        var all = theirs.Read(0, ours.Type);
        Move(ours, (mine, other, bytes) => all.Bytes.Slice(other, bytes).CopyTo(ours.Bytes[mine..]));
        GC.KeepAlive(all);
    }

    public override void Write(Tensor ours, int index, Tensor theirs) =>
        Move(ours, (mine, other, bytes) => ours.Bytes.Slice(mine, bytes).CopyTo(theirs.Bytes[other..]));

    /// <summary>Calls for each row, with where it begins in ours and in theirs, and its bytes.</summary>
    private void Move(Tensor ours, Action<int, int, int> move)
    {
        var half = ours.Shape[0] / heads / 2;
        var bytes = ours.Bytes.Length / ours.Shape[0];
        for (var head = 0; head < heads; head++)
        {
            for (var row = 0; row < 2 * half; row++)
            {
                var (which, pair) = (row / half, row % half);
                move(((head * 2 * half) + row) * bytes, ((head * 2 * half) + (2 * pair) + which) * bytes, bytes);
            }
        }
    }
}

/// <summary>Ours is one of several equal parts that each head of theirs has one after the other.</summary>
internal sealed class HeadRowsLayout(string ours, string theirs, int heads, int part, int parts) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => ours[0] % heads == 0
        ? [(long)parts * ours[0], .. Sizes(ours).Skip(1)]
        : throw new InvalidOperationException($"the table of names cuts the rows of '{Ours}' {ours} into those of {heads} heads");

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        var bytes = ours.Bytes.Length / heads;
        var elements = ours.Shape.Count / heads;
        for (var head = 0; head < heads; head++)
            theirs.Read(0, ours.Type, ours.Bytes.Slice(head * bytes, bytes), ((head * parts) + part) * elements);
    }

    public override void Write(Tensor ours, int index, Tensor theirs)
    {
        var bytes = ours.Bytes.Length / heads;
        for (var head = 0; head < heads; head++)
            ours.Bytes.Slice(head * bytes, bytes).CopyTo(theirs.Bytes[(((head * parts) + part) * bytes)..]);
    }
}
