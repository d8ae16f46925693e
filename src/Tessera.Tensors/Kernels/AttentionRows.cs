using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Rows of numbers, one for each batch row, head and position; from a tensor they are [batch, length, heads, width].</summary>
internal readonly unsafe struct AttentionRows
{
    private const int CacheLine = 64;

    private readonly float* _data;
    private readonly nint _batch, _head;
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
    public AttentionRows(float* data, int heads, int length, int width)
    {
        _data = data;
        (Stride, _head) = (width, (nint)length * width);
        _batch = _head * heads;
    }

    /// <summary>Elements from one position to the next.</summary>
    public nint Stride { get; }

    public bool IsNull => _data == null;

    /// <summary>Whether elements are F32, which can be read where they are.</summary>
    public bool AreFloats => _type == ElementType.F32;

    /// <summary>Where a row of F32 begins.</summary>
    public float* At(int batch, int head, int position) => _data + (batch * _batch) + (head * _head) + (position * Stride);

    /// <summary>Consecutive rows in F32: where they are or, of another type, in <paramref name="room"/>.</summary>
    public (nint Address, nint Stride) Read(int batch, int head, int first, int rows, int width, float* room)
    {
        if (AreFloats) return ((nint)At(batch, head, first), Stride);
        var from = (ushort*)_data + (batch * _batch) + (head * _head) + (first * Stride);
        for (var row = 0; row < rows; row++, from += Stride)
        {
            var to = room + (row * (nint)width);
            if (_type == ElementType.BF16) Widen(from, to, width);
            else QuantizedFormat.Load(_type, (byte*)from, to, width);
        }

        return ((nint)room, width);
    }

    /// <summary>Has the caches fetch rows that will be read soon: where heads lie side by side, rows of one are too far apart for the
    /// processor to foresee.</summary>
    public void Prefetch(int batch, int head, int first, int rows, int width)
    {
        if (!Sse.IsSupported || (rows > 1 && Stride == _head)) return;
        var size = AreFloats ? sizeof(float) : sizeof(ushort);
        var row = (byte*)_data + (((batch * _batch) + (head * _head) + (first * Stride)) * size);
        for (var i = 0; i < rows; i++, row += Stride * size)
            for (var at = 0; at < width * size; at += CacheLine) Sse.Prefetch1(row + at);
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
