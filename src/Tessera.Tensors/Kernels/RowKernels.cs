using System.Numerics.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Work on the rows of a matrix, cut over the threads: each row, or each column, is one thread's alone, so that results
/// do not depend on the cut.</summary>
internal static unsafe class RowKernels
{
    /// <summary>Columns are cut at multiples of this: two lines of a cache.</summary>
    private const int ColumnUnit = 32;

    /// <summary>What is done for rows.</summary>
    public interface IRows
    {
        /// <summary>Does the rows from <paramref name="start"/> to before <paramref name="end"/>.</summary>
        void Run(int start, int end);
    }

    /// <summary>Does the work for rows 0 to <paramref name="rows"/> − 1 in parts.</summary>
    /// <param name="work">The work.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="costEach">What a row costs, in floats touched.</param>
    public static void Run<TWork>(in TWork work, int rows, long costEach) where TWork : struct, IRows, allows ref struct
    {
        var parts = new RowParts<TWork>(work, rows, Simd.Parts(rows, costEach));
        ThreadTeam.Shared.Run(ref parts, parts.Parts);
    }

    /// <summary>Sets all elements to 0.</summary>
    public static void Clear(Span<float> values) =>
        Run(new ClearedRows(values), (values.Length + ClearedRows.Length - 1) / ClearedRows.Length, ClearedRows.Length);

    /// <summary>Adds the sum of all rows to <paramref name="sum"/>.</summary>
    public static void SumRows(ReadOnlySpan<float> rows, Span<float> sum)
    {
        fixed (float* from = rows, to = sum)
        {
            var work = new ColumnWork { From = from, To = to, Width = sum.Length, Rows = sum.Length == 0 ? 0 : rows.Length / sum.Length };
            work.Run();
        }
    }

    /// <summary>Adds rows, times a factor, to the rows of a table that <paramref name="ids"/> names; they may repeat.</summary>
    /// <param name="rows">As many rows as ids.</param>
    /// <param name="ids">Rows of the table; checked by the caller.</param>
    /// <param name="factor">Multiplies the rows.</param>
    /// <param name="table">Rows of <paramref name="width"/> elements.</param>
    /// <param name="width">Elements of a row.</param>
    public static void ScatterAdd(ReadOnlySpan<float> rows, ReadOnlySpan<int> ids, float factor, Span<float> table, int width)
    {
        fixed (float* from = rows, to = table)
        fixed (int* pIds = ids)
        {
            var work = new ColumnWork { From = from, To = to, Ids = pIds, Factor = factor, Width = width, Rows = ids.Length };
            work.Run();
        }
    }

    private readonly ref struct RowParts<TWork>(in TWork work, int rows, int parts) : IParallelWork
        where TWork : struct, IRows, allows ref struct
    {
        private readonly TWork _work = work;

        public readonly int Parts = parts;

        public void Run(int part)
        {
            var (start, end) = Simd.Share(rows, Parts, part);
            _work.Run(start, end);
        }
    }

    private readonly ref struct ClearedRows(Span<float> values) : IRows
    {
        public const int Length = 1024;

        private readonly Span<float> _values = values;

        public void Run(int start, int end) => _values[(start * Length)..Math.Min(end * Length, _values.Length)].Clear();
    }

    /// <summary>A part adds some columns of all rows, in order.</summary>
    private struct ColumnWork : IParallelWork
    {
        public float* From, To;
        public int* Ids;
        public float Factor;
        public int Width, Rows, Parts;

        public void Run()
        {
            var units = (Width + ColumnUnit - 1) / ColumnUnit;
            Parts = Math.Min(Simd.Parts(units, (long)ColumnUnit * Rows), Simd.Threads); // narrow columns read memory in pieces
            ThreadTeam.Shared.Run(ref this, Parts);
        }

        public readonly void Run(int part)
        {
            var (first, last) = Simd.Share((Width + ColumnUnit - 1) / ColumnUnit, Parts, part);
            var start = first * ColumnUnit;
            var count = Math.Min(last * ColumnUnit, Width) - start;
            for (var row = 0; row < Rows; row++)
            {
                var from = new ReadOnlySpan<float>(From + ((long)row * Width) + start, count);
                var to = new Span<float>(To + ((Ids is null ? 0 : (long)Ids[row]) * Width) + start, count);
                if (Ids is null) TensorPrimitives.Add(to, from, to);
                else TensorPrimitives.MultiplyAdd(from, Factor, to, to);
            }
        }
    }
}
