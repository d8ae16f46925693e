using System.Numerics.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Conversion of whole tensors between types, rows shared among the threads.</summary>
internal static unsafe class QuantizedConversion
{
    /// <summary>What a thread converts at once when neither side is F32: whole blocks of every type.</summary>
    private const int Piece = 1024;

    /// <summary>Converts <paramref name="rows"/> rows of <paramref name="width"/> elements.</summary>
    /// <exception cref="ArgumentException">A quantized type is to hold an element that is not finite, or too great.</exception>
    public static void Convert(ElementType fromType, ReadOnlySpan<byte> from, ElementType toType, Span<byte> to, int rows, int width)
    {
        if (rows == 0 || width == 0) return;
        fixed (byte* pFrom = from, pTo = to)
        {
            var work = new Work
            {
                FromType = fromType, ToType = toType, From = pFrom, To = pTo, Rows = rows, Width = width, Parts = Simd.Parts(rows, width),
            };
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    private struct Work : IParallelWork
    {
        public ElementType FromType, ToType;
        public byte* From, To;
        public int Rows, Width, Parts;

        public readonly void Run(int part)
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            var between = stackalloc float[Piece];
            for (var row = start; row < end; row++)
            {
                var from = From + (row * FromType.Bytes(Width));
                var to = To + (row * ToType.Bytes(Width));
                for (var column = 0; column < Width; column += Piece)
                    Convert(row, column, from + FromType.Bytes(column), to + ToType.Bytes(column), between);
            }
        }

        private readonly void Convert(int row, int column, byte* from, byte* to, float* between)
        {
            var count = Math.Min(Piece, Width - column);
            if (ToType == ElementType.F32)
            {
                QuantizedFormat.Load(FromType, from, (float*)to, count);
                return;
            }

            var values = FromType == ElementType.F32 ? (float*)from : between;
            if (FromType != ElementType.F32) QuantizedFormat.Load(FromType, from, values, count);
            if (ToType.IsQuantized()) RequireFinite(values, row, column, count);
            QuantizedFormat.Store(ToType, values, to, count);
        }

        private readonly void RequireFinite(float* values, int row, int column, int count)
        {
            if (float.IsFinite(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(values, count)))) return; // NaN counts as greatest
            for (var i = 0; i < count; i++)
            {
                if (!float.IsFinite(values[i]))
                    throw new ArgumentException($"convert: element {column + i} of row {row} is {values[i]}, which {ToType} cannot hold");
            }
        }
    }
}
