using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>How one of our tensors lies in one or more tensors of a file, in both directions.</summary>
/// <param name="ours">The full name of a parameter.</param>
/// <param name="theirs">The names of the file's tensors that it is made of.</param>
internal abstract class TensorLayout(string ours, params IReadOnlyList<string> theirs)
{
    /// <summary>The full name of our parameter.</summary>
    public string Ours => ours;

    /// <summary>The names of the file's tensors; several of our tensors may lie in one of them.</summary>
    public IReadOnlyList<string> Theirs => theirs;

    /// <summary>Whether ours is theirs as it is.</summary>
    public virtual bool IsSame => false;

    /// <summary>The shape that a tensor of the file must have.</summary>
    /// <param name="index">Which of <see cref="Theirs"/>.</param>
    /// <param name="ours">The shape of ours.</param>
    public abstract IReadOnlyList<long> ShapeOf(int index, Shape ours);

    /// <summary>Where ours, or one of its groups, is rows of a matrix of theirs, turned or not; else null.</summary>
    /// <param name="index">Which of <see cref="Theirs"/>.</param>
    /// <param name="ours">The shape of ours.</param>
    public virtual MatrixRows? RowsOf(int index, Shape ours) => null;

    /// <summary>The elements of one of theirs that ours has in the same order, or null where they are rearranged.</summary>
    /// <param name="index">Which of <see cref="Theirs"/>.</param>
    /// <param name="ours">The shape of ours.</param>
    public virtual Stretch? StretchOf(int index, Shape ours) => null;

    /// <summary>Whether elements can be moved as they are stored: rows of a quantized type can be moved whole, but not turned.</summary>
    public virtual bool Keeps(ElementType type) => true;

    /// <summary>Fills ours.</summary>
    /// <param name="theirs">The file's tensors.</param>
    /// <param name="ours">Of the type that is wanted: F32, or the one they are stored in.</param>
    public abstract void Read(TheirTensors theirs, Tensor ours);

    /// <summary>Fills the part of one of their tensors that comes from ours.</summary>
    /// <param name="ours">Our tensor.</param>
    /// <param name="index">Which of <see cref="Theirs"/>.</param>
    /// <param name="theirs">Of the shape <see cref="ShapeOf"/> and the type of ours.</param>
    public abstract void Write(Tensor ours, int index, Tensor theirs);

    /// <summary>The sizes of a shape.</summary>
    protected static IReadOnlyList<long> Sizes(Shape shape) => [.. shape.AsSpan().ToArray().Select(size => (long)size)];
}

/// <summary>Which rows of a matrix of a file are ours.</summary>
/// <param name="First">The first of them.</param>
/// <param name="Of">How many rows the matrix has.</param>
/// <param name="Group">Which group of ours they are; null where they are all of it.</param>
internal readonly record struct MatrixRows(int First, int Of, int? Group = null);

/// <summary>The tensors of a file that one of ours is made of.</summary>
/// <param name="source">The file.</param>
/// <param name="names">Their names in it.</param>
internal sealed class TheirTensors(TensorSource source, IReadOnlyList<string> names)
{
    /// <summary>What the file says of one of them.</summary>
    public StoredTensor this[int index] => source[names[index]];

    /// <summary>Copies elements, as they are stored or converted to F32.</summary>
    /// <param name="index">Which tensor.</param>
    /// <param name="type">F32, or the type it is stored in.</param>
    /// <param name="destination">As many bytes as the elements take.</param>
    /// <param name="offset">The first element.</param>
    public void Read(int index, ElementType type, Span<byte> destination, long offset = 0)
    {
        if (type == this[index].Element) source.ReadBytes(names[index], destination, type.Bytes(offset));
        else source.ReadFloats(names[index], MemoryMarshal.Cast<byte, float>(destination), offset);
    }

    /// <summary>A copy of a whole tensor, as it is stored or converted to F32.</summary>
    public Tensor Read(int index, ElementType type)
    {
        var copy = Tensor.Allocate(new Shape([.. this[index].Shape.Select(size => checked((int)size))]), type);
        Read(index, type, copy.Bytes);
        return copy;
    }
}
