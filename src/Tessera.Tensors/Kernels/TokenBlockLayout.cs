using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// How a block of <see cref="TokenBlocks"/> lies in memory: [heads, tokens, width]. The rows of one head follow each other, so that
/// a tile of attention reads one stretch of memory, and a walk over all heads the whole block from its beginning to its end.
/// </summary>
/// <param name="Heads">Heads of a token.</param>
/// <param name="Width">Elements of a head.</param>
/// <param name="Type">What they are stored as; a row of a head is whole blocks of it.</param>
internal readonly unsafe record struct TokenBlockLayout(int Heads, int Width, ElementType Type)
{
    private const int Size = FlashAttentionTile.Size;

    /// <summary>Bytes of one head's part of one token.</summary>
    public long RowBytes => Type.Bytes(Width);

    /// <summary>Bytes of a block.</summary>
    public long BlockBytes => checked(RowBytes * Size * Heads);

    /// <summary>Stores tokens, each heads × width numbers.</summary>
    /// <exception cref="ArgumentException">A quantized type is to hold a number that is not finite, or too great.</exception>
    public void Store(nint block, int firstToken, ReadOnlySpan<float> tokens, int count)
    {
        fixed (float* from = tokens)
        {
            for (var head = 0; head < Heads; head++)
                for (var token = 0; token < count; token++)
                    Store(from + (((long)token * Heads) + head) * Width, Row(block, head, firstToken + token));
        }
    }

    /// <summary>Expands tokens to F32.</summary>
    public void Load(nint block, int firstToken, Span<float> tokens, int count)
    {
        fixed (float* to = tokens)
        {
            for (var head = 0; head < Heads; head++)
                for (var token = 0; token < count; token++)
                    QuantizedFormat.Load(Type, Row(block, head, firstToken + token), to + (((long)token * Heads) + head) * Width, Width);
        }
    }

    /// <summary>Copies the first tokens of a block to another, as they are stored.</summary>
    public void Copy(nint from, nint to, int tokens)
    {
        for (var head = 0; head < Heads; head++)
            NativeMemory.Copy(Row(from, head, 0), Row(to, head, 0), (nuint)(tokens * RowBytes));
    }

    /// <summary>Makes all elements 0.</summary>
    public void Clear(nint block) => NativeMemory.Clear((void*)block, (nuint)BlockBytes);

    private byte* Row(nint block, int head, int token) => (byte*)block + (((head * (long)Size) + token) * RowBytes);

    private void Store(float* from, byte* to)
    {
        // Of NaN and numbers the greatest is NaN.
        if (Type.IsQuantized() && !float.IsFinite(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(from, Width))))
            throw new ArgumentException($"token blocks: a token has a number that is not finite, which {Type} cannot hold");
        QuantizedFormat.Store(Type, from, to, Width);
    }
}
