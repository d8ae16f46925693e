using System.Runtime.InteropServices;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>A tensor that is to be written to a file, under the file's name for it. Nothing is read before it is its turn.</summary>
internal sealed class OutgoingTensor
{
    private const int PieceBytes = 1 << 20;

    private readonly IReadOnlyList<(Parameter Parameter, TensorLayout Layout, int Index)> _parts;
    private readonly RecentParameters _recent;
    private readonly TensorStream? _source;

    internal OutgoingTensor(
        string name, IReadOnlyList<(Parameter Parameter, TensorLayout Layout, int Index)> parts, RecentParameters recent,
        TensorStream? source)
    {
        (Name, _parts, _recent, _source) = (name, parts, recent, source);
        var (parameter, layout, index) = parts[0];
        Shape = [.. layout.ShapeOf(index, parameter.Shape)];
        Type = parts.All(part => part.Parameter.Type == parameter.Type && part.Layout.Keeps(parameter.Type))
            ? parameter.Type
            : parts.All(part => part.Parameter.Type == ElementType.MXFP4) ? ElementType.BF16 // which holds the same numbers
            : ElementType.F32;
    }

    /// <summary>The file's name.</summary>
    public string Name { get; }

    /// <summary>The sizes, outermost first.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>The type that the model has it in; a wider one where its parts differ or are rearranged within blocks.</summary>
    public ElementType Type { get; }

    /// <summary>The number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => checked(count * size));

    /// <summary>The tensor in <see cref="Type"/>, not to be changed.</summary>
    public Tensor Read()
    {
        var (parameter, layout, index) = _parts[0];
        if (layout.IsSame && parameter.Type == Type) return _recent.Peek(parameter);
        var whole = Tensor.Allocate(new Shape([.. Shape.Select(size => checked((int)size))]), Type);
        foreach (var part in _parts)
        {
            var ours = Converted(_recent.Peek(part.Parameter), Type);
            part.Layout.Write(ours, part.Index, whole);
            GC.KeepAlive(ours); // a span does not keep its memory
        }

        return whole;
    }

    /// <summary>Writes the elements as a type.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="type">Any type but I32; rows are whole blocks of it.</param>
    /// <exception cref="ArgumentException">A quantized type is to hold NaN, an infinity, or a number beyond its scales.</exception>
    public void WriteTo(Stream stream, ElementType type)
    {
        if (Pieces(type) is { } pieces)
        {
            foreach (var piece in pieces) _source!.Copy(piece, Shape[^1], type, stream);
            return;
        }

        var tensor = Converted(Read(), type);
        for (var bytes = tensor.Bytes; !bytes.IsEmpty; bytes = bytes[Math.Min(PieceBytes, bytes.Length)..])
            stream.Write(bytes[..Math.Min(PieceBytes, bytes.Length)]);
        GC.KeepAlive(tensor);
    }

    /// <summary>The pieces of the file that the model was read from, where this tensor is nothing but some of them one after the
    /// other.</summary>
    private List<StoredPiece>? Pieces(ElementType type)
    {
        if (_source is null || Count == 0) return null;
        var (pieces, end) = (new List<StoredPiece>(), 0L);
        foreach (var (parameter, layout, index) in _parts)
        {
            if (layout.StretchOf(index, parameter.Shape) is not { } stretch || stretch.Theirs != end) return null;
            if (!_source.TryFind(layout.Ours, parameter.Shape, stretch.Ours, stretch.Count, pieces)) return null;
            end += stretch.Count;
        }

        return end == Count && pieces.TrueForAll(piece => _source.Fits(piece, Shape[^1], type)) ? pieces : null;
    }

    private static Tensor Converted(Tensor tensor, ElementType type)
    {
        if (tensor.Type == type) return tensor;
        var converted = Tensor.Allocate(tensor.Shape, type);
        Op.Convert(tensor, converted);
        return converted;
    }
}

/// <summary>The last few parameters that were peeked at, since several tensors of a file may come from one of ours.</summary>
internal sealed class RecentParameters
{
    private const int Max = 4; // the stacks of a layer's experts are written in turn: gate, up and down of the first, of the second …

    private readonly LinkedList<(Parameter Parameter, Tensor Value)> _recent = [];

    public Tensor Peek(Parameter parameter)
    {
        for (var node = _recent.First; node is not null; node = node.Next)
        {
            if (node.Value.Parameter != parameter) continue;
            _recent.Remove(node);
            _recent.AddFirst(node);
            return node.Value.Value;
        }

        if (_recent.Count == Max) _recent.RemoveLast();
        return _recent.AddFirst((parameter, parameter.Peek())).Value.Value;
    }
}
