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
    public bool IsReal => StoredFloats.Block(this) is not null;

    /// <summary>Name, type and shape: <c>'lm_head.weight' BF16 [32, 8]</c>.</summary>
    public override string ToString() => $"'{Name}' {Type} [{string.Join(", ", Shape)}]";
}
