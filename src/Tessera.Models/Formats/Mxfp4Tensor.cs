using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>
/// MXFP4 as gpt-oss's safetensors hold it: <c>…_blocks</c> [groups, rows, blocks, 16] with two 4-bit floats in a byte, the first in its
/// low half, and <c>…_scales</c> [groups, rows, blocks], exponents biased by 127. Seen as [groups, rows, 32 · blocks] in the order of
/// <see cref="ElementType.MXFP4"/>, under the name of the blocks.
/// </summary>
internal sealed class Mxfp4Tensor : ScaledTensor
{
    private const int Halves = 16, Elements = 2 * Halves, Bytes = 1 + Halves, PieceBlocks = 1 << 14;

    private readonly TensorSource _source;
    private readonly string _blocks, _scales;

    /// <param name="source">Has both tensors.</param>
    /// <param name="blocks">The numbers.</param>
    /// <param name="scales">The exponents.</param>
    /// <exception cref="InvalidDataException">The shapes or types do not belong together.</exception>
    public Mxfp4Tensor(TensorSource source, StoredTensor blocks, StoredTensor scales) : base(Seen(source, blocks, scales)) =>
        (_source, _blocks, _scales) = (source, blocks.Name, scales.Name);

    public override void ReadFloats(Span<float> destination, long offset)
    {
        var piece = new byte[Math.Min(PieceBlocks, destination.Length / Elements) * Bytes];
        while (!destination.IsEmpty)
        {
            var part = destination[..Math.Min(piece.Length / Bytes * Elements, destination.Length)];
            var stored = piece.AsSpan(0, part.Length / Elements * Bytes);
            ReadBytes(stored, offset / Elements * Bytes);
            ElementType.MXFP4.ToFloats(stored, part);
            destination = destination[part.Length..];
            offset += part.Length;
        }
    }

    public override void ReadBytes(Span<byte> destination, long offset)
    {
        var max = Math.Min(PieceBlocks, destination.Length / Bytes);
        var (numbers, scales) = (new byte[max * Halves], new byte[max]);
        for (var first = offset / Bytes; !destination.IsEmpty;)
        {
            var count = Math.Min(max, destination.Length / Bytes);
            _source.ReadBytes(_blocks, numbers.AsSpan(0, count * Halves), first * Halves);
            _source.ReadBytes(_scales, scales.AsSpan(0, count), first);
            for (var block = 0; block < count; block++)
            {
                var to = destination.Slice(block * Bytes, Bytes);
                to[0] = scales[block];
                Reorder(numbers.AsSpan(block * Halves, Halves), to[1..]);
            }

            destination = destination[(count * Bytes)..];
            first += count;
        }
    }

    /// <summary>From neighbours in a byte to elements 16 apart in a byte.</summary>
    private static void Reorder(ReadOnlySpan<byte> from, Span<byte> to)
    {
        for (var i = 0; i < Halves; i++) to[i] = (byte)(Half(from, i) | (Half(from, i + Halves) << 4));

        static int Half(ReadOnlySpan<byte> from, int element) => (from[element / 2] >> (element % 2 * 4)) & 15;
    }

    private static StoredTensor Seen(TensorSource source, StoredTensor blocks, StoredTensor scales)
    {
        if (blocks is not { Type: "U8", Shape: [var groups, var rows, var count, Halves] })
            throw new InvalidDataException(
                $"{source.Path}: tensor {blocks} is to hold 4-bit floats; allowed: U8 [groups, rows, blocks, 16]");
        if (scales.Type != "U8" || !scales.Shape.SequenceEqual([groups, rows, count]))
            throw new InvalidDataException(
                $"{source.Path}: tensor {scales} is to hold the exponents of {blocks}; allowed: U8 [{groups}, {rows}, {count}]");
        return new StoredTensor(
            blocks.Name, "MXFP4", [groups, rows, checked(count * Elements)], blocks.Count / Halves * Bytes, ElementType.MXFP4);
    }
}
