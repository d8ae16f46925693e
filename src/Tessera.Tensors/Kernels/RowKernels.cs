using System.Numerics.Tensors;

namespace Tessera.Tensors.Kernels;

/// <summary>Simple loops over the rows of a matrix.</summary>
internal static class RowKernels
{
    /// <summary>Adds the sum of all rows to <paramref name="sum"/>.</summary>
    public static void SumRows(ReadOnlySpan<float> rows, Span<float> sum)
    {
        for (var i = 0; i < rows.Length; i += sum.Length) TensorPrimitives.Add(sum, rows.Slice(i, sum.Length), sum);
    }
}
