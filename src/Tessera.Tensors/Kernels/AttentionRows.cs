using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Rows of numbers, one for each batch row, head and position; from a tensor they are [batch, length, heads, width], from
/// <see cref="TokenBlocks"/> [heads, tokens, width] in the block that holds the position.</summary>
internal readonly unsafe struct AttentionRows
{
    private const int CacheLine = 64, BlockSize = FlashAttentionTile.Size;

    /// <summary>Elements; where there is a table, the address of each block.</summary>
    private readonly float* _data;

    /// <summary>From one batch row to the next, in elements or in entries of the table; from one head to the next.</summary>
    private readonly nint _batch, _head;

    /// <summary>[batch, tiles]: the block of each tile of positions, negative where none is kept; null without blocks.</summary>
    private readonly int* _table;
    private readonly ElementType _type;

    public AttentionRows(ReadOnlySpan<float> elements, Shape shape)
    {
        _data = Address(elements);
        (_head, Stride) = (shape[3], (nint)shape[2] * shape[3]);
        _batch = Stride * shape[1];
    }

    /// <summary>The rows of a tensor of F32, F16 or BF16.</summary>
    public AttentionRows(Tensor tensor) : this(tensor.Type == ElementType.F32 ? tensor.Floats : default, tensor.Shape)
    {
        _type = tensor.Type;
        _data = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.Bytes));
    }

    /// <summary>Rows side by side: [batch, heads, length, width].</summary>
    /// <param name="data">Where the first row is.</param>
    /// <param name="heads">Heads of a batch row.</param>
    /// <param name="length">Rows of a head.</param>
    /// <param name="width">Elements of a row.</param>
    /// <param name="first">The position of the first row.</param>
    public AttentionRows(float* data, int heads, int length, int width, int first = 0)
    {
        _data = data - ((nint)first * width);
        (Stride, _head) = (width, (nint)length * width);
        _batch = _head * heads;
    }

    /// <summary>The rows of cached tokens.</summary>
    public AttentionRows(TokenBlocks blocks, BlockTable table)
    {
        _data = (float*)blocks.Addresses;
        _table = (int*)table.Address;
        _type = blocks.Type;
        (_batch, _head, Stride) = (table.BlocksPerRow, BlockSize * (nint)blocks.Width, blocks.Width);
    }

    /// <summary>Elements from one position to the next.</summary>
    public nint Stride { get; }

    public bool IsNull => _data == null;

    /// <summary>Whether elements are F32, which can be read where they are.</summary>
    public bool AreFloats => _type == ElementType.F32;

    /// <summary>Whether the rows of a head follow each other within a tile.</summary>
    public bool AreBlocks => _table != null;

    /// <summary>Whether these are the rows that others are, in the same places.</summary>
    public bool Are(in AttentionRows others) =>
        _data == others._data && _table == others._table && _batch == others._batch && _head == others._head && Stride == others.Stride;

    /// <summary>Whether the tile of a position is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Keeps(int batch, int position) => _table == null || _table[(batch * _batch) + (position / BlockSize)] >= 0;

    /// <summary>Where a row of F32 begins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* At(int batch, int head, int position) =>
        _table == null ? _data + (batch * _batch) + (head * _head) + (position * Stride) : (float*)InBlock(batch, head, position);

    /// <summary>Whether elements are BF16, which can be widened as they are read.</summary>
    public bool AreBrain => _type == ElementType.BF16;

    /// <summary>Where a row of F32 or BF16 begins.</summary>
    public byte* Locate(int batch, int head, int position) => _table != null
        ? InBlock(batch, head, position)
        : (byte*)_data + (((batch * _batch) + (head * _head) + (position * Stride)) * (AreFloats ? sizeof(float) : sizeof(ushort)));

    /// <summary>Consecutive rows in F32: where they are or, of another type, in <paramref name="room"/>.</summary>
    public (nint Address, nint Stride) Read(int batch, int head, int first, int rows, int width, float* room)
    {
        if (AreFloats) return ((nint)At(batch, head, first), Stride);
        var from = _table == null
            ? (byte*)((ushort*)_data + (batch * _batch) + (head * _head) + (first * Stride))
            : InBlock(batch, head, first);
        var rowBytes = (nint)_type.Bytes(Stride);
        for (var row = 0; row < rows; row++, from += rowBytes)
        {
            var to = room + (row * (nint)width);
            if (_type == ElementType.BF16) Widen((ushort*)from, to, width);
            else Load(from, to, width);
        }

        return ((nint)room, width);
    }

    /// <summary>Has the caches fetch rows that will be read soon: where heads lie side by side, rows of one are too far apart for the
    /// processor to foresee.</summary>
    public void Prefetch(int batch, int head, int first, int rows, int width)
    {
        if (!Sse.IsSupported || _table != null || (rows > 1 && Stride == _head)) return;
        var size = AreFloats ? sizeof(float) : sizeof(ushort);
        var row = (byte*)_data + (((batch * _batch) + (head * _head) + (first * Stride)) * size);
        for (var i = 0; i < rows; i++, row += Stride * size)
            for (var at = 0; at < width * size; at += CacheLine) Sse.Prefetch1(row + at);
    }

    private byte* InBlock(int batch, int head, int position)
    {
        var block = ((byte**)_data)[_table[(batch * _batch) + (position / BlockSize)]];
        return block + _type.Bytes((head * _head) + (position % BlockSize * Stride));
    }

    /// <summary>The first elements of a row, of which the last may end within a block of their type.</summary>
    private void Load(byte* from, float* to, int width)
    {
        const int MaxBlock = 32;
        var whole = width / _type.BlockElements() * _type.BlockElements();
        QuantizedFormat.Load(_type, from, to, whole);
        if (whole == width) return;
        var last = stackalloc float[MaxBlock];
        QuantizedFormat.Load(_type, from + _type.Bytes(whole), last, _type.BlockElements());
        new ReadOnlySpan<float>(last, width - whole).CopyTo(new Span<float>(to + whole, width - whole));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widen(ushort* from, float* to, int count)
    {
        var i = 0;
        for (; i + Vector256<ushort>.Count <= count; i += Vector256<ushort>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Load(from + i));
            (low << 16).AsSingle().Store(to + i);
            (high << 16).AsSingle().Store(to + i + Vector256<float>.Count);
        }

        for (; i < count; i++) to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
    }

    /// <summary>Where the gradient of a tensor is added to; null where none is wanted.</summary>
    public static AttentionRows Gradient(Tensor tensor) => tensor.Slot is { } slot ? new AttentionRows(slot.Add(), tensor.Shape) : default;

    /// <summary>Where elements lie: native memory, which does not move.</summary>
    public static float* Address(ReadOnlySpan<float> elements) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(elements));
}
