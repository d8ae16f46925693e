using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Rows of F32 rounded to signed bytes: blocks of 32 with an F32 scale, <c>d = max|x| / 127</c> and <c>q = x · (127 / max|x|)</c> to
/// the nearest even. A block that holds NaN or an infinity has the scale NaN, so that every sum it enters is NaN; one whose
/// elements are all below 10⁻³⁵ counts as zero.
/// </summary>
internal unsafe struct QuantizedActivations
{
    public const int Block = 32;

    /// <summary>Of more rows than this, most weights are multiplied in tiles, and what is not orders its rows itself.</summary>
    private const int MaxOrdered = 8;

    private const float Smallest = 1e-35f; // below it 127 / max|x| overflows

    /// <summary>[rows, columns].</summary>
    public sbyte* Numbers;

    /// <summary>[rows, columns / 32].</summary>
    public float* Scales;

    /// <summary>[rows, columns / 32]: the sum of the block's numbers times its scale.</summary>
    public float* Sums;

    /// <summary>The rows once more, in the order of <see cref="StoredProductDotRows"/>; null where nothing reads them so.</summary>
    public byte* Ordered;

    public int Rows, Columns;

    public readonly int Blocks => Columns / Block;

    /// <summary>Bytes from one ordered row to the next.</summary>
    public readonly long OrderedStride => (long)Columns / StoredProductDotRows.Columns * StoredProductDotRows.Bytes;

    /// <summary>The memory that so many rows and columns take.</summary>
    public static long Bytes(int rows, int columns) =>
        OrderedBytes(rows, columns) + (rows * (columns + (2L * (columns / Block) * sizeof(float))));

    /// <summary>The rows with their order, on the calling thread.</summary>
    /// <param name="memory">Of <see cref="Rows"/> times <see cref="OrderedStride"/>.</param>
    public readonly QuantizedActivations WithOrder(byte* memory)
    {
        var result = this;
        result.Ordered = memory;
        for (var row = 0; row < Rows; row++) result.Order(row);
        return result;
    }

    private static long OrderedBytes(int rows, int columns) => rows <= MaxOrdered && StoredProductDotRows.Suits(columns)
        ? (long)rows * (columns / StoredProductDotRows.Columns) * StoredProductDotRows.Bytes
        : 0;

    private readonly void Order(int row)
    {
        var numbers = Numbers + ((long)row * Columns);
        var scales = Scales + ((long)row * Blocks);
        var sums = Sums + ((long)row * Blocks);
        var to = Ordered + (row * OrderedStride);
        for (var block = 0; block < Blocks; block += StoredProductDotRows.Parts, to += StoredProductDotRows.Bytes)
            StoredProductDotRows.Order(numbers + (block * Block), scales + block, sums + block, to);
    }

    /// <summary>Rounds the rows of <paramref name="x"/>, whose columns are a multiple of 32.</summary>
    /// <param name="x">Rows of F32.</param>
    /// <param name="memory">Of <see cref="Bytes"/>.</param>
    public static QuantizedActivations Of(Matrix x, nint memory)
    {
        var ordered = OrderedBytes(x.Rows, x.Columns);
        var result = new QuantizedActivations { Rows = x.Rows, Columns = x.Columns, Scales = (float*)(memory + ordered) };
        if (ordered > 0) result.Ordered = (byte*)memory;
        result.Sums = result.Scales + ((long)x.Rows * result.Blocks);
        result.Numbers = (sbyte*)(result.Sums + ((long)x.Rows * result.Blocks));
        fixed (float* from = x.Data)
        {
            var work = new Work { From = from, RowStride = x.RowStride, To = result, Parts = Simd.Parts(x.Rows, x.Columns) };
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }

        return result;
    }

    /// <summary>Some of the rows; the memory stays with the whole.</summary>
    public readonly QuantizedActivations Part(int start, int count) => new()
    {
        Numbers = Numbers + ((long)start * Columns), Scales = Scales + ((long)start * Blocks), Sums = Sums + ((long)start * Blocks),
        Ordered = Ordered == null ? null : Ordered + (start * OrderedStride), Rows = count, Columns = Columns,
    };

    /// <summary>Writes what the rows stand for.</summary>
    public readonly void Load(float* to)
    {
        for (var block = 0L; block < (long)Rows * Blocks; block++)
        {
            var at = block * Block;
            for (var i = 0; i < Block; i += 16) QuantizedFormat.Expand(Vector128.Load(Numbers + at + i), Scales[block], 0, to + at + i);
        }
    }

    private struct Work : IParallelWork
    {
        public float* From;
        public int RowStride, Parts;
        public QuantizedActivations To;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            var (start, end) = Simd.Share(To.Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var from = From + ((long)row * RowStride);
                var numbers = To.Numbers + ((long)row * To.Columns);
                for (var block = 0; block < To.Blocks; block++)
                {
                    var at = ((long)row * To.Blocks) + block;
                    Round(from + (block * Block), numbers + (block * Block), out To.Scales[at], out To.Sums[at]);
                }

                if (To.Ordered != null) To.Order(row);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Round(float* from, sbyte* to, out float scale, out float sum)
        {
            // As whole numbers, the bits of magnitudes are ordered as they are, with infinity and NaN at the end.
            var bits = Vector256<int>.Zero;
            for (var i = 0; i < Block; i += 8)
                bits = Vector256.Max(bits, Vector256.Load((int*)(from + i)) & Vector256.Create(int.MaxValue));
            var four = Vector128.Max(bits.GetLower(), bits.GetUpper());
            var two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
            var greatest = BitConverter.Int32BitsToSingle(Math.Max(two[0], two[1]));
            if (!(greatest >= Smallest && float.IsFinite(greatest)))
            {
                new Span<sbyte>(to, Block).Clear();
                scale = sum = greatest < Smallest ? 0 : float.NaN;
                return;
            }

            var inverse = Vector256.Create(127 / greatest);
            var (a, b) = (Nearest(Vector256.Load(from) * inverse), Nearest(Vector256.Load(from + 8) * inverse));
            var (c, d) = (Nearest(Vector256.Load(from + 16) * inverse), Nearest(Vector256.Load(from + 24) * inverse));
            Vector256.Narrow(Vector256.Narrow(a, b), Vector256.Narrow(c, d)).Store(to);
            scale = greatest / 127;
            sum = scale * Vector256.Sum(a + b + (c + d));
        }

        /// <summary>Adding 1.5·2²³ rounds to whole numbers and leaves them in the low bits.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<int> Nearest(Vector256<float> value)
        {
            var shift = Vector256.Create(12582912f);
            return (value + shift).AsInt32() - shift.AsInt32();
        }
    }
}
