using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rows, rounded to BF16, with a BF16 weight in tiles (AMX): <c>yᵀ = w xᵀ</c>, so that the weight, which is nearly all
/// there is to read, is the side that tiles take as it lies, once, and only the rows of x are packed.
/// <para>A step of 32 outputs is 2 KiB of the weight for 32 cycles of multiplication or 64, several times what memory delivers
/// meanwhile. As 32 rows are more than processors foresee, the next piece is asked for while one is computed.</para>
/// </summary>
internal static unsafe class ThinProductAmx
{
    /// <summary>With fewer rows dot products (<see cref="Bf16Dots"/>) keep up with memory, with more packing the weight pays.</summary>
    public const int MinRows = 4, MaxRows = 64;

    private const int Outputs = AmxShape.MaxRows, StepNumbers = AmxShape.WholeStep / sizeof(ushort), PairBytes = 2 * sizeof(ushort);

    /// <summary>Steps of k between two looks ahead: 32 KiB of the weight.</summary>
    private const int StepsAtOnce = 16;

    /// <summary>Whether a product of so many rows is better done this way.</summary>
    public static bool Suits(int rows) => rows is >= MinRows and <= MaxRows && AmxTiles.Available;

    /// <summary><c>y = x wᵀ + bias</c>; needs <see cref="AmxTiles.Available"/>.</summary>
    /// <param name="x">m × k, 1 to <see cref="MaxRows"/> rows, dense in k.</param>
    /// <param name="weight">n × k numbers in BF16, rows dense.</param>
    /// <param name="n">Rows of w.</param>
    /// <param name="y">m × n.</param>
    /// <param name="bias">n elements, or none.</param>
    public static void Multiply(Matrix x, ReadOnlySpan<ushort> weight, int n, Span<float> y, ReadOnlySpan<float> bias)
    {
        if (n == 0) return;
        var width = (x.Rows + AmxShape.TileRows - 1) / AmxShape.TileRows * AmxShape.TileRows;
        var steps = (x.Columns + StepNumbers - 1) / StepNumbers;
        var bytes = Math.Max(1, (long)steps * StepNumbers * width * sizeof(ushort));
        var memory = Arena.Current.Take(bytes);
        fixed (ushort* w = weight)
        fixed (float* source = x.Data, target = y, added = bias)
        {
            var work = new Work
            {
                Weight = w, Y = target, Bias = added, Pairs = (byte*)memory, Rows = x.Rows, Columns = x.Columns, N = n, Steps = steps,
                Parts = Simd.Parts((n + Outputs - 1) / Outputs, (long)Outputs * x.Columns),
            };
            work.Pack(source, x.RowStride);
            Simd.Run(ref work, work.Parts);
        }

        Arena.Current.Return(memory, bytes);
    }

    private struct Work : IVectorWork
    {
        public ushort* Weight;
        public float* Y, Bias;
        public byte* Pairs;
        public int Rows, Columns, N, Steps, Parts;

        /// <summary>The rows of x, 32 at a time: for each pair of k, the two elements of every row.</summary>
        public readonly void Pack(float* x, int rowX)
        {
            var product = new MatrixProductOperands { B = x, RowB = 1, ColumnB = rowX };
            for (var row = 0; row < Rows; row += AmxShape.MaxColumns)
            {
                if (Columns == 0) return;
                var rows = Math.Min(AmxShape.MaxColumns, Rows - row);
                Bf16Packing.Strip(product, row, rows, WidthOf(row), 0, Columns, Steps * StepNumbers, PairsOf(row));
            }
        }

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share((N + Outputs - 1) / Outputs, Parts, part);
            try
            {
                for (var block = start; block < end; block++) Run<V>(block * Outputs, Math.Min(Outputs, N - (block * Outputs)));
            }
            finally
            {
                AmxTiles.Release();
            }
        }

        /// <summary>All rows of x with some outputs.</summary>
        [SkipLocalsInit]
        private readonly void Run<V>(int output, int outputs) where V : struct, ILanes<V>
        {
            var sums = stackalloc float[Outputs * MaxRows];
            var rest = stackalloc ushort[Outputs * StepNumbers];
            for (var i = 0; i < outputs; i++)
                new Span<float>(sums + (i * MaxRows), MaxRows).Fill(Bias == null ? 0 : Bias[output + i]);

            var weight = Weight + ((long)output * Columns);
            var whole = Columns / StepNumbers;
            for (int step = 0, count; step < whole; step += count)
            {
                count = Math.Min(StepsAtOnce, whole - step);
                var ahead = step + count < whole ? weight + ((step + count) * StepNumbers) : weight + ((long)Outputs * Columns);
                if (step + count < whole || output + (2 * Outputs) <= N) FetchAhead(ahead, outputs);
                Multiply(weight + (step * StepNumbers), Columns, outputs, step, count, sums);
            }

            if (whole < Steps)
            {
                CopyRest(weight + (whole * StepNumbers), outputs, Columns % StepNumbers, rest);
                Multiply(rest, StepNumbers, outputs, whole, 1, sums);
            }

            MatrixProductPacking.Pack<V, SingleElements>((byte*)sums, MaxRows, 1, outputs, N, Rows, Y + output, clear: false);
        }

        /// <summary>Adds the products of some steps to sums.</summary>
        private readonly void Multiply(ushort* weight, int rowWeight, int outputs, int step, int count, float* sums)
        {
            for (var row = 0; row < Rows; row += AmxShape.MaxColumns)
            {
                var rowPairs = (nint)WidthOf(row) * PairBytes;
                AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(outputs, WidthOf(row)), new AmxOperands
                {
                    A = weight, RowA = (nint)rowWeight * sizeof(ushort), StepA = AmxShape.WholeStep,
                    B = PairsOf(row) + (step * AmxShape.TileRows * rowPairs), RowB = rowPairs, StepB = AmxShape.TileRows * rowPairs,
                    C = sums + row, RowC = MaxRows * sizeof(float), Steps = count, Add = 1,
                });
            }
        }

        /// <summary>The last columns, which fill no step, with zeros after them.</summary>
        private readonly void CopyRest(ushort* weight, int outputs, int columns, ushort* to)
        {
            new Span<ushort>(to, Outputs * StepNumbers).Clear();
            for (var i = 0; i < outputs; i++)
                new ReadOnlySpan<ushort>(weight + ((long)i * Columns), columns).CopyTo(new Span<ushort>(to + (i * StepNumbers), columns));
        }

        private readonly void FetchAhead(ushort* weight, int outputs)
        {
            if (!Sse.IsSupported) return;
            var steps = Math.Min(StepsAtOnce, Columns / StepNumbers);
            for (var i = 0; i < outputs; i++)
                for (var step = 0; step < steps; step++) Sse.Prefetch1(weight + ((long)i * Columns) + (step * StepNumbers));
        }

        /// <summary>Columns of the tiles for 32 rows of x: 16, or 32.</summary>
        private readonly int WidthOf(int row) => Rows - row <= AmxShape.TileRows ? AmxShape.TileRows : AmxShape.MaxColumns;

        private readonly byte* PairsOf(int row) => Pairs + ((long)row * Steps * StepNumbers * sizeof(ushort));
    }
}
