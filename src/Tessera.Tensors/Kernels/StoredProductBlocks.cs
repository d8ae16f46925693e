using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>A block of a quantized weight as a product reads it: 32 elements, a <em>part</em>, at a time.</summary>
internal unsafe interface IStoredBlock<TSelf> where TSelf : struct, IStoredBlock<TSelf>
{
    /// <summary>How many parts a block has.</summary>
    static abstract int Parts { get; }

    static abstract int Bytes { get; }

    /// <summary>Whether the last 16 elements of a part have a scale of their own.</summary>
    static abstract bool HasLastScale { get; }

    /// <summary>Whether a part has a minimum, which is taken away from each of its elements; the last 16 have one of their own where they
    /// have such a scale.</summary>
    static abstract bool HasMinimum { get; }

    static abstract TSelf Open(byte* block);

    /// <summary>The facts of the 8 parts from here on, in several blocks if they are small: 8 scales, 8 scales of the last 16
    /// elements, 8 minima and 8 minima of the last 16 elements, where there are any.</summary>
    static abstract void GroupScales(byte* block, float* to);

    /// <summary>The numbers that scales multiply; the block need not be open.</summary>
    static abstract Vector256<sbyte> Numbers(byte* block, int part);

    float Scale(int part);

    float LastScale(int part);

    float Minimum(int part);

    float LastMinimum(int part);
}

/// <summary>Scales and minima of several parts at once.</summary>
internal static unsafe class StoredProductBlocks
{
    /// <summary>The F16 scales at the start of 8 blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scales(byte* blocks, int bytes)
    {
        var bits = Vector128.Create(
            *(ushort*)blocks, *(ushort*)(blocks + bytes), *(ushort*)(blocks + (2 * bytes)), *(ushort*)(blocks + (3 * bytes)),
            *(ushort*)(blocks + (4 * bytes)), *(ushort*)(blocks + (5 * bytes)), *(ushort*)(blocks + (6 * bytes)),
            *(ushort*)(blocks + (7 * bytes)));
        return QuantizedFormat.Scales(Vector256.Create(Vector128.WidenLower(bits), Vector128.WidenUpper(bits)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Numbers(ulong bytes) =>
        Numbers(Vector128.WidenLower(Vector128.CreateScalarUnsafe(bytes).AsByte()).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Numbers(Vector128<short> numbers) =>
        Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(numbers), Vector128.WidenUpper(numbers)));
}

/// <summary>A block of Q8_0.</summary>
internal readonly unsafe struct Q8Block : IStoredBlock<Q8Block>
{
    private readonly byte* _block;

    private Q8Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Q8Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q8Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => StoredProductBlocks.Scales(block, Bytes).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) => Vector256.Load((sbyte*)block + Q8Format.Numbers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => Minimum(part);
}

/// <summary>A block of Q4_0.</summary>
internal readonly unsafe struct Q4Block : IStoredBlock<Q4Block>
{
    private readonly byte* _block;

    private Q4Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Q4Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q4Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => StoredProductBlocks.Scales(block, Bytes).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var pairs = Vector128.Load(block + Q4Format.Numbers);
        var numbers = Vector256.Create(pairs, (pairs.AsUInt16() >>> 4).AsByte()) & Vector256.Create((byte)15);
        return numbers.AsSByte() - Vector256.Create((sbyte)Q4Format.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => Minimum(part);
}

/// <summary>A block of Q4_K.</summary>
internal readonly unsafe struct Q4KBlock : IStoredBlock<Q4KBlock>
{
    private readonly ulong _scales, _minima;
    private readonly float _scale, _minimum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Q4KBlock(byte* block)
    {
        (_scales, _minima) = Q4KFormat.AllScales(block + Q4KFormat.Scales);
        (_scale, _minimum) = (QuantizedFormat.Scale(block), QuantizedFormat.Scale(block + 2));
    }

    public static int Parts => Q4KFormat.Groups;

    public static int Bytes => Q4KFormat.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q4KBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        var (scales, minima) = Q4KFormat.AllScales(block + Q4KFormat.Scales);
        (StoredProductBlocks.Numbers(scales) * Vector256.Create(QuantizedFormat.Scale(block))).Store(to);
        (StoredProductBlocks.Numbers(minima) * Vector256.Create(QuantizedFormat.Scale(block + 2))).Store(to + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var pairs = Vector256.Load(block + Q4KFormat.Numbers + (part / 2 * Q4KFormat.Group)).AsUInt16();
        return ((pairs >>> (part % 2 * 4)).AsByte() & Vector256.Create((byte)15)).AsSByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scale * (int)(byte)(_scales >> (8 * part));

    public float LastScale(int part) => Scale(part);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Minimum(int part) => _minimum * (int)(byte)(_minima >> (8 * part));

    public float LastMinimum(int part) => Minimum(part);
}

/// <summary>A block of Q6_K.</summary>
internal readonly unsafe struct Q6KBlock : IStoredBlock<Q6KBlock>
{
    private readonly byte* _block;
    private readonly float _scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Q6KBlock(byte* block)
    {
        _block = block;
        _scale = QuantizedFormat.Scale(block + Q6KFormat.Scale);
    }

    public static int Parts => Q6KFormat.Elements / 32;

    public static int Bytes => Q6KFormat.Bytes;

    public static bool HasLastScale => true;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q6KBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        // Each pair of bytes is a part's scale and last scale.
        var pairs = Vector128.Load((short*)(block + Q6KFormat.Scales));
        var scale = Vector256.Create(QuantizedFormat.Scale(block + Q6KFormat.Scale));
        (StoredProductBlocks.Numbers((pairs << 8) >> 8) * scale).Store(to);
        (StoredProductBlocks.Numbers(pairs >> 8) * scale).Store(to + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var (half, quarter) = (part / 4, part % 4);
        var low = Vector256.Load(block + (half * 64) + (quarter % 2 * 32)).AsUInt16() >>> (quarter / 2 * 4);
        var high = Vector256.Load(block + Q6KFormat.High + (half * 32)).AsUInt16() >>> (quarter * 2);
        var numbers = (low.AsByte() & Vector256.Create((byte)15)) | ((high.AsByte() & Vector256.Create((byte)3)).AsUInt16() << 4).AsByte();
        return numbers.AsSByte() - Vector256.Create((sbyte)Q6KFormat.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scale * ((sbyte*)_block)[Q6KFormat.Scales + (2 * part)];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float LastScale(int part) => _scale * ((sbyte*)_block)[Q6KFormat.Scales + (2 * part) + 1];

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => Minimum(part);
}
