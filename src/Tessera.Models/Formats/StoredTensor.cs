using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>What a file says of one tensor, whatever its format.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Type">What an element is, as the format names it: <c>BF16</c>, <c>F8_E4M3</c>, <c>Q4_K</c>.</param>
/// <param name="Shape">The sizes, outermost first; none for a scalar.</param>
/// <param name="ByteCount">How many bytes it has.</param>
/// <param name="Element">The same type as tensors of Tessera have it; null where they have none.</param>
public sealed record StoredTensor(string Name, string Type, IReadOnlyList<long> Shape, long ByteCount, ElementType? Element)
{
    /// <summary>The number of elements.</summary>
    /// <remarks>Whoever reads a header has seen that the sizes and the bytes agree, so that this does not overflow, but for
    /// sizes beside a size of 0.</remarks>
    public long Count => Shape.Contains(0) ? 0 : Shape.Aggregate(1L, (count, size) => checked(count * size));

    /// <summary>Whether <see cref="TensorSource.ReadFloats"/> can read it.</summary>
    public bool IsReal => Block is not null;

    /// <summary>How many elements are stored together and in how many bytes, or null where they are not numbers that can be read.</summary>
    internal (int Elements, int Bytes)? Block => StoredFloats.Block(Type, Element);

    /// <summary>As <see cref="Block"/>.</summary>
    /// <param name="path">The file, for the message.</param>
    /// <exception cref="InvalidDataException">They cannot be read.</exception>
    internal (int Elements, int Bytes) RequireBlock(string path) => Block
        ?? throw new InvalidDataException($"{path}: tensor {this} does not hold floats that can be read; allowed: {StoredFloats.Readable}");

    /// <summary>Name, type and shape: <c>'lm_head.weight' BF16 [32, 8]</c>.</summary>
    public override string ToString() => $"'{Name}' {Type} [{string.Join(", ", Shape)}]";
}
