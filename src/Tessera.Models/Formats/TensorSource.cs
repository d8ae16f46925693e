using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>
/// The tensors of a checkpoint, whatever its format: to open it costs its header, tensors are read when they are asked for. Any
/// number of threads may read at once.
/// </summary>
public abstract class TensorSource : IDisposable
{
    private const int PieceBytes = 1 << 20;

    private protected TensorSource(string path) => Path = path;

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>The tensors by name, in the order of the file.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; private protected set; } = new Dictionary<string, StoredTensor>();

    /// <summary>What the header says of one tensor.</summary>
    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    public StoredTensor this[string name] => Tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw new InvalidDataException($"{Path}: there is no tensor '{name}' among the {Tensors.Count} here");

    /// <summary>Copies bytes of a tensor as they are in the file.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Is filled.</param>
    /// <param name="offset">Where in the tensor to begin, in bytes.</param>
    /// <exception cref="InvalidDataException">The file has no such tensor, or has been cut short.</exception>
    /// <exception cref="ArgumentException">The tensor has fewer bytes from the offset on.</exception>
    public virtual void ReadBytes(string name, Span<byte> destination, long offset = 0)
    {
        var tensor = this[name];
        if (offset < 0 || offset > tensor.ByteCount - destination.Length)
            throw new ArgumentException(
                $"{destination.Length} bytes from {offset} on are not within the {tensor.ByteCount} bytes of tensor {tensor}",
                nameof(destination));
        var (file, position) = Place(name);
        file.Read(destination, position + offset);
    }

    /// <summary>Copies elements of a tensor of any float or quantized type, converted to binary32: F64 is rounded to nearest, all others
    /// are exact.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Is filled.</param>
    /// <param name="offset">The first element; it and the number of elements are whole blocks of a quantized type.</param>
    /// <exception cref="InvalidDataException">The file has no such tensor, or it does not hold numbers of a type that can be
    /// read.</exception>
    /// <exception cref="ArgumentException">The tensor has fewer elements from the offset on, or they are no whole blocks.</exception>
    public virtual void ReadFloats(string name, Span<float> destination, long offset = 0)
    {
        var tensor = this[name];
        var (elements, bytes) = tensor.RequireBlock(Path);
        if (offset < 0 || offset > tensor.Count - destination.Length)
            throw new ArgumentException(
                $"{destination.Length} elements from {offset} on are not within the {tensor.Count} elements of tensor {tensor}",
                nameof(destination));
        if (offset % elements != 0 || destination.Length % elements != 0)
            throw new ArgumentException(
                $"{destination.Length} elements from {offset} on of tensor {tensor} are not whole blocks of {elements}",
                nameof(destination));

        var (file, position) = Place(name);
        position += offset / elements * bytes;
        if (tensor.Element == ElementType.F32) ReadInPieces(file, destination, position);
        else Convert(file, tensor, destination, position, elements, bytes);
    }

    /// <summary>Whether a tensor can be used where it lies in the file: its type is one that tensors have, of a shape they can have, and
    /// its place suits the type.</summary>
    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    public virtual bool CanView(string name)
    {
        var tensor = this[name];
        if (tensor.Element is not { } type || tensor.Shape.Count > Shape.MaximumRank || tensor.Shape.Any(size => size > int.MaxValue))
            return false;
        if (tensor.ByteCount is 0 or > int.MaxValue || tensor.Shape.LastOrDefault(1) % type.BlockElements() != 0) return false;
        return Place(name).Position % (type is ElementType.F32 or ElementType.I32 ? 4 : 2) == 0;
    }

    /// <summary>A tensor over the mapped file: nothing is copied, and what is never touched is never read. It stays as long as something
    /// refers to it, whether this is disposed or not, and must not be written to.</summary>
    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    /// <exception cref="NotSupportedException">It cannot be viewed (<see cref="CanView"/>).</exception>
    public virtual Tensor View(string name)
    {
        var tensor = this[name];
        if (!CanView(name)) throw new NotSupportedException($"{Path}: tensor {tensor} cannot be used where it lies in the file");
        var (file, position) = Place(name);
        return file.View(position, new Shape([.. tensor.Shape.Select(size => (int)size)]), tensor.Element!.Value);
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Where the bytes of a tensor are that is known to be there.</summary>
    private protected abstract (StoredFile File, long Position) Place(string name);

    private static void ReadInPieces(StoredFile file, Span<float> destination, long position)
    {
        // Piece by piece: the bytes of a large tensor do not fit one span.
        for (; !destination.IsEmpty; destination = destination[Math.Min(PieceBytes, destination.Length)..])
        {
            var piece = MemoryMarshal.AsBytes(destination[..Math.Min(PieceBytes, destination.Length)]);
            file.Read(piece, position);
            position += piece.Length;
        }
    }

    private static void Convert(StoredFile file, StoredTensor tensor, Span<float> destination, long position, int elements, int bytes)
    {
        var blocks = Math.Min(PieceBytes / bytes, destination.Length / elements);
        var buffer = new byte[blocks * bytes];
        while (!destination.IsEmpty)
        {
            var part = destination[..Math.Min(blocks * elements, destination.Length)];
            var stored = buffer.AsSpan(0, part.Length / elements * bytes);
            file.Read(stored, position);
            StoredFloats.Convert(tensor.Type, tensor.Element, stored, part);
            position += stored.Length;
            destination = destination[part.Length..];
        }
    }
}
