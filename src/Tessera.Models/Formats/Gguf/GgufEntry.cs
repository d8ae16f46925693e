namespace Tessera.Models.Formats.Gguf;

/// <summary>What the header of a GGUF file says of one tensor.</summary>
/// <param name="Name">The name.</param>
/// <param name="Type">What an element is.</param>
/// <param name="Shape">The sizes, outermost first (the file has them innermost first); 1 to 4 of them.</param>
/// <param name="Offset">Where its bytes begin, counted from <see cref="GgufFile.DataStart"/>.</param>
/// <param name="ByteCount">How many bytes it has.</param>
public sealed record GgufEntry(string Name, GgufType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>The number of elements.</summary>
    public long Count => ByteCount / Type.BlockBytes() * Type.BlockValues();

    /// <summary>Name, type and shape: <c>'output.weight' Q8_0 [32000, 768]</c>.</summary>
    public override string ToString() => $"'{Name}' {Type} [{string.Join(", ", Shape)}]";
}
