using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Turns rows into columns, in squares of four where the processor can.</summary>
internal static unsafe class FlashAttentionTranspose
{
    /// <summary><c>to[j, i] = from[i, j] · factor</c>.</summary>
    /// <param name="from">rows × columns.</param>
    /// <param name="fromStride">Elements between rows of <paramref name="from"/>.</param>
    /// <param name="rows">Rows of <paramref name="from"/>.</param>
    /// <param name="columns">Columns of <paramref name="from"/>.</param>
    /// <param name="factor">What elements are multiplied by.</param>
    /// <param name="to">columns × rows.</param>
    /// <param name="toStride">Elements between rows of <paramref name="to"/>.</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* from, nint fromStride, int rows, int columns, float factor, float* to, nint toStride)
    {
        var squares = Sse.IsSupported || AdvSimd.Arm64.IsSupported;
        int wholeRows = squares ? rows & ~3 : 0, wholeColumns = squares ? columns & ~3 : 0;
        for (var row = 0; row < wholeRows; row += 4)
        {
            for (var column = 0; column < wholeColumns; column += 4)
                Square(from + (row * fromStride) + column, fromStride, factor, to + (column * toStride) + row, toStride);
        }

        for (var row = 0; row < rows; row++)
        {
            for (var column = row < wholeRows ? wholeColumns : 0; column < columns; column++)
                to[(column * toStride) + row] = from[(row * fromStride) + column] * factor;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Square(float* from, nint fromStride, float factor, float* to, nint toStride)
    {
        var scale = Vector128.Create(factor);
        Vector128<float> a = Vector128.Load(from) * scale, b = Vector128.Load(from + fromStride) * scale;
        Vector128<float> c = Vector128.Load(from + (2 * fromStride)) * scale, d = Vector128.Load(from + (3 * fromStride)) * scale;
        Vector128<float> ac = Low(a, c), bd = Low(b, d), ac2 = High(a, c), bd2 = High(b, d);
        Low(ac, bd).Store(to);
        High(ac, bd).Store(to + toStride);
        Low(ac2, bd2).Store(to + (2 * toStride));
        High(ac2, bd2).Store(to + (3 * toStride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Low(Vector128<float> left, Vector128<float> right) =>
        Sse.IsSupported ? Sse.UnpackLow(left, right) : AdvSimd.Arm64.ZipLow(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> High(Vector128<float> left, Vector128<float> right) =>
        Sse.IsSupported ? Sse.UnpackHigh(left, right) : AdvSimd.Arm64.ZipHigh(left, right);
}
