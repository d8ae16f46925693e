using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>In each group of theirs [groups, step · rows, …], ours [groups, rows, …] is every <c>step</c>-th row from <c>first</c> on; a
/// row of a matrix [groups, rows] is one number.</summary>
internal sealed class EveryRowLayout(string ours, string theirs, int first, int step) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => [ours[0], (long)ours[1] * step, .. Sizes(ours).Skip(2)];

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        // Group by group: all of theirs may be larger than a span.
        var (groups, rows) = (ours.Shape[0], ours.Shape[1]);
        var width = ours.Shape.Count / ours.Shape[0] / rows;
        var group = new byte[checked((int)ours.Type.Bytes(rows * step * width))];
        for (var index = 0; index < groups; index++)
        {
            theirs.Read(0, ours.Type, group, index * (long)rows * step * width);
            Move(ours, index, (mine, other, bytes) => group.AsSpan(other, bytes).CopyTo(ours.Bytes[mine..]));
        }
    }

    public override void Write(Tensor ours, int index, Tensor theirs)
    {
        for (var group = 0; group < ours.Shape[0]; group++)
        {
            var start = theirs.Bytes.Length / ours.Shape[0] * group;
            Move(ours, group, (mine, other, bytes) => ours.Bytes.Slice(mine, bytes).CopyTo(theirs.Bytes[(start + other)..]));
        }
    }

    /// <summary>Calls for each row of a group, with where it begins in ours and in the group of theirs, and its bytes.</summary>
    private void Move(Tensor ours, int group, Action<int, int, int> move)
    {
        var rows = ours.Shape[1];
        var bytes = ours.Bytes.Length / ours.Shape[0] / rows;
        for (var row = 0; row < rows; row++) move(((group * rows) + row) * bytes, ((row * step) + first) * bytes, bytes);
    }
}

/// <summary>In each group, ours [groups, rows, columns] is every <c>step</c>-th column from <c>first</c> on of theirs [groups, columns,
/// step · rows], turned.</summary>
internal sealed class TurnedGroupsLayout(string ours, string theirs, int first = 0, int step = 1) : TensorLayout(ours, theirs)
{
    public override bool Keeps(ElementType type) => type.BlockElements() == 1;

    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => [ours[0], ours[2], (long)ours[1] * step];

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        var size = checked(ours.Shape[2] * ours.Shape[1] * step);
        var group = new byte[checked((int)ours.Type.Bytes(size))];
        for (var index = 0; index < ours.Shape[0]; index++)
        {
            theirs.Read(0, ours.Type, group, index * (long)size);
            if (ours.Type.BlockBytes() == sizeof(float)) Turn<float>(ours, index, group, isRead: true);
            else Turn<ushort>(ours, index, group, isRead: true);
        }
    }

    public override void Write(Tensor ours, int index, Tensor theirs)
    {
        var bytes = theirs.Bytes.Length / ours.Shape[0];
        for (var group = 0; group < ours.Shape[0]; group++)
        {
            if (ours.Type.BlockBytes() == sizeof(float)) Turn<float>(ours, group, theirs.Bytes.Slice(group * bytes, bytes), isRead: false);
            else Turn<ushort>(ours, group, theirs.Bytes.Slice(group * bytes, bytes), isRead: false);
        }
    }

    private void Turn<T>(Tensor ours, int group, Span<byte> theirs, bool isRead) where T : unmanaged
    {
        var (rows, columns) = (ours.Shape[1], ours.Shape[2]);
        var mine = MemoryMarshal.Cast<byte, T>(ours.Bytes).Slice(group * rows * columns, rows * columns);
        var other = MemoryMarshal.Cast<byte, T>(theirs);
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                ref var inOther = ref other[(column * rows * step) + (row * step) + first];
                if (isRead) mine[(row * columns) + column] = inOther;
                else inOther = mine[(row * columns) + column];
            }
        }
    }
}
