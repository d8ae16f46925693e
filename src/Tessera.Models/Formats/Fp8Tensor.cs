using Tessera.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Tessera.Models.Formats;

/// <summary>
/// A matrix of 8-bit floats with a scale for each block of rows and columns: <c>w = q s</c>. One block may be a tile of 128 × 128, a row,
/// or the whole. Where weights stay as they are stored, the product is rounded to BF16.
/// <para>DeepSeek-AI 2024, <see href="https://arxiv.org/abs/2412.19437"/>, section 3.3.2.</para>
/// </summary>
internal sealed class Fp8Tensor : ScaledTensor
{
    private const int PieceElements = 1 << 16;

    private readonly TensorSource _source;
    private readonly string _scaleName;
    private readonly long _columns, _blockRows, _blockColumns, _scaleColumns;
    private readonly Lock _reading = new();
    private volatile float[]? _scales;

    /// <param name="source">Has both tensors.</param>
    /// <param name="numbers">The matrix.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="block">Rows and columns that share a scale, unless the scales are one, or one for each row.</param>
    /// <exception cref="InvalidDataException">The shapes do not belong together.</exception>
    public Fp8Tensor(TensorSource source, StoredTensor numbers, StoredTensor scales, (int Rows, int Columns)? block)
        : base(numbers with { Element = ElementType.BF16, ByteCount = ElementType.BF16.Bytes(numbers.Count) })
    {
        (_source, _scaleName) = (source, scales.Name);
        scales.RequireBlock(source.Path);
        if (numbers.Shape is not [var rows, var columns])
            throw new InvalidDataException($"{source.Path}: tensor {numbers} has scales, '{scales.Name}'; allowed: those of a matrix");
        _columns = columns;
        if (scales.Count == 1 && rows * columns > 0) (_blockRows, _blockColumns) = (rows, columns);
        else if (IsOneEachRow(scales, rows)) (_blockRows, _blockColumns) = (1, columns);
        else if (block is { } size && scales.Shape.SequenceEqual([Blocks(rows, size.Rows), Blocks(columns, size.Columns)]))
            (_blockRows, _blockColumns) = size;
        else
        {
            var tiles = block is { } sized
                ? $", or [{Blocks(rows, sized.Rows)}, {Blocks(columns, sized.Columns)}] for blocks of {sized.Rows} x {sized.Columns}" : "";
            throw new InvalidDataException(
                $"{source.Path}: tensor {scales} is to hold the scales of {numbers}; allowed: one number, [{rows}, 1]{tiles}");
        }

        _scaleColumns = _columns == 0 ? 0 : Blocks(_columns, _blockColumns);
    }

    public override void ReadFloats(Span<float> destination, long offset)
    {
        _source.ReadFloats(Stored.Name, destination, offset);
        var scales = Scales();
        while (!destination.IsEmpty)
        {
            var (row, column) = (offset / _columns, offset % _columns);
            var block = column / _blockColumns;
            var count = (int)Math.Min(Math.Min(_columns, (block + 1) * _blockColumns) - column, destination.Length);
            var part = destination[..count];
            TensorPrimitives.Multiply(part, scales[(row / _blockRows * _scaleColumns) + block], part);
            destination = destination[count..];
            offset += count;
        }
    }

    public override void ReadBytes(Span<byte> destination, long offset)
    {
        const int Bytes = sizeof(ushort);
        var read = Tensor.Allocate([Math.Min(PieceElements, destination.Length / Bytes)]);
        var rounded = Tensor.Allocate(read.Shape, ElementType.BF16);
        for (var start = offset / Bytes; !destination.IsEmpty;)
        {
            var count = Math.Min(read.Floats.Length, destination.Length / Bytes);
            ReadFloats(read.Floats[..count], start);
            Op.Convert(read, rounded);
            rounded.Bytes[..(count * Bytes)].CopyTo(destination);
            destination = destination[(count * Bytes)..];
            start += count;
        }

        GC.KeepAlive(read); // a span does not keep its memory
        GC.KeepAlive(rounded);
    }

    private static bool IsOneEachRow(StoredTensor scales, long rows) =>
        scales.Shape is [var alone] ? alone == rows : scales.Shape is [var count, 1] && count == rows;

    private static long Blocks(long size, long block) => (size + block - 1) / block;

    private float[] Scales()
    {
        if (_scales is { } known) return known;
        lock (_reading)
        {
            if (_scales is { } made) return made;
            var scales = new float[_source[_scaleName].Count]; // as many as the file has bytes for
            _source.ReadFloats(_scaleName, scales);
            return _scales = scales;
        }
    }
}
