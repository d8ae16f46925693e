using System.Runtime.InteropServices;
using Tessera.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Tessera.Models.Formats.Gguf;

/// <summary>Ours is theirs less one, as of norms that multiply by one more than their weights, where a file holds what they multiply
/// by.</summary>
internal sealed class UnitOffsetLayout(string ours, string theirs) : TensorLayout(ours, theirs)
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => Sizes(ours);

    public override bool Keeps(ElementType type) => type == ElementType.F32;

    public override void Read(TheirTensors file, Tensor ours)
    {
        file.Read(0, ours.Type, ours.Bytes);
        TensorPrimitives.Subtract(ours.Floats, 1, ours.Floats);
    }

    public override void Write(Tensor ours, int index, Tensor file) => TensorPrimitives.Add(ours.Floats, 1, file.Floats);
}

/// <summary>
/// The map from latents to keys and values. Ours has for each head the rows of its keys and then those of its values, [heads ·
/// (content + value), rank]; theirs are the keys' turned, [heads, rank, content], so that queries can be mapped to latents, and the
/// values', [heads, value, rank].
/// </summary>
internal sealed class KeysAndValuesLayout(string ours, string keys, string values, int heads, int content, int value)
    : TensorLayout(ours, keys, values)
{
    private const int Keys = 0, Values = 1;

    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) =>
        index == Keys ? [heads, ours[1], content] : [heads, value, ours[1]];

    public override bool Keeps(ElementType type) => type.BlockElements() == 1;

    public override void Read(TheirTensors theirs, Tensor ours)
    {
        var (keys, values) = (theirs.Read(Keys, ours.Type), theirs.Read(Values, ours.Type));
        if (ours.Type == ElementType.F32) Join<float>(keys, values, ours);
        else Join<ushort>(keys, values, ours);
        GC.KeepAlive(keys); // a span does not keep its memory
        GC.KeepAlive(values);
    }

    public override void Write(Tensor ours, int index, Tensor theirs)
    {
        if (ours.Type == ElementType.F32) Cut<float>(ours, index, theirs);
        else Cut<ushort>(ours, index, theirs);
    }

    private void Join<T>(Tensor keys, Tensor values, Tensor ours) where T : unmanaged
    {
        var rank = ours.Shape[1];
        for (var head = 0; head < heads; head++)
        {
            var mine = Head<T>(ours, head);
            Turn<T>(Head<T>(keys, head), content, mine, rank);
            Head<T>(values, head).CopyTo(mine[(content * rank)..]);
        }
    }

    private void Cut<T>(Tensor ours, int index, Tensor theirs) where T : unmanaged
    {
        var rank = ours.Shape[1];
        for (var head = 0; head < heads; head++)
        {
            var mine = Head<T>(ours, head);
            if (index == Keys) Turn<T>(mine[..(content * rank)], rank, Head<T>(theirs, head), content);
            else mine[(content * rank)..].CopyTo(Head<T>(theirs, head));
        }
    }

    private Span<T> Head<T>(Tensor tensor, int head) where T : unmanaged
    {
        var all = MemoryMarshal.Cast<byte, T>(tensor.Bytes);
        return all.Slice(head * (all.Length / heads), all.Length / heads);
    }

    /// <summary>Writes the rows of one matrix as the columns of another.</summary>
    private static void Turn<T>(ReadOnlySpan<T> from, int fromWidth, Span<T> to, int toWidth) where T : unmanaged
    {
        for (var row = 0; row < toWidth; row++)
            for (var column = 0; column < fromWidth; column++)
                to[(column * toWidth) + row] = from[(row * fromWidth) + column];
    }
}
