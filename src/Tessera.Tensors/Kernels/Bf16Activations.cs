using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>Rows of F32 rounded to BF16 as <see cref="Bf16Dots"/> reads them: each padded with zeros to whole vectors.</summary>
internal unsafe struct Bf16Activations
{
    /// <summary>[rows, columns], rows <see cref="Stride"/> bytes apart.</summary>
    public byte* Numbers;

    public nint Stride;

    public int Rows, Columns;

    /// <summary>The memory that so many rows and columns take.</summary>
    public static long Bytes(int rows, int columns) => rows * StrideOf(columns);

    /// <summary>Rounds the rows of <paramref name="x"/>; needs <see cref="MatrixProductKinds.HasBf16"/>.</summary>
    /// <param name="x">At least one row and column.</param>
    /// <param name="memory">Of <see cref="Bytes"/>.</param>
    public static Bf16Activations Of(Matrix x, nint memory)
    {
        var result = new Bf16Activations
        {
            Numbers = (byte*)memory, Stride = (nint)StrideOf(x.Columns), Rows = x.Rows, Columns = x.Columns,
        };
        fixed (float* from = x.Data)
            Bf16Rounding.Rows(from, (nint)x.RowStride * sizeof(float), x.Rows, x.Columns, (ushort*)memory, result.Stride);
        return result;
    }

    /// <summary>Some of the rows; the memory stays with the whole.</summary>
    public readonly Bf16Activations Part(int start, int count) => new()
    {
        Numbers = Numbers + (start * Stride), Stride = Stride, Rows = count, Columns = Columns,
    };

    private static long StrideOf(int columns) => (long)(columns + Bf16Dots.AtOnce - 1) / Bf16Dots.AtOnce * Bf16Dots.AtOnce * sizeof(ushort);
}
