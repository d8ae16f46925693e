namespace Tessera.Models.Formats;

/// <summary>What the header of a safetensors file says of one tensor.</summary>
/// <param name="Name">The full name.</param>
/// <param name="Type">What an element is.</param>
/// <param name="Shape">The sizes, outermost first; none for a scalar. Of any rank.</param>
/// <param name="Offset">Where its bytes begin, counted from the end of the header.</param>
/// <param name="ByteCount">How many bytes it has.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>The number of elements.</summary>
    public long Count => ByteCount * 8 / Type.Bits();

    /// <summary>Name, type and shape: <c>'lm_head.weight' BF16 [32, 8]</c>.</summary>
    public override string ToString() => $"'{Name}' {Type.Name()} [{string.Join(", ", Shape)}]";
}
