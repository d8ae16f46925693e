using System.Numerics.Tensors;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products that are cut into blocks which fit the caches: a block of b (some of k, some of n) is packed once and stays
/// in the second level while the rows of a go by, a panel of as many rows as a tile has at a time, packed in the first.
/// <para>Goto, van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with the parts of a and b
/// exchanged because c has dense rows.</para>
/// </summary>
internal static unsafe class MatrixProductBlocks
{
    /// <summary>With no more rows than this, each element of b is used so few times that packing it does not pay.</summary>
    private const int MaxRowsInPlace = 24;

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread; left is a multiple of the tile's columns where b is packed.</summary>
    public static void Run<TTile>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where TTile : struct, IMatrixProductTile
    {
        if (top >= bottom || left >= right) return;
        if (product.K == 0)
        {
            Start(product, top, bottom, left, right);
            product.Epilogue.Run(top, bottom, left, right);
        }

        var steps = StepsAtOnce<TTile>(product.K);
        var columns = Even(right - left, TTile.BlockBytes / TTile.ElementBytes / Math.Max(steps, 1), TTile.Columns);
        for (var column = left; column < right; column += columns)
        {
            for (var step = 0; step < product.K; step += steps)
            {
                var block = new Block<TTile>(product, column, Math.Min(columns, right - column), step, Math.Min(steps, product.K - step));
                block.Run(top, bottom);
            }
        }
    }

    /// <summary>The length of all pieces of k but the last.</summary>
    public static int StepsAtOnce<TTile>(int k)
        where TTile : struct, IMatrixProductTile => Even(k, TTile.LongestStep, Math.Max(4, TTile.StepUnit));

    /// <summary>A piece of k with the zeros that are packed after it.</summary>
    public static int WholeSteps<TTile>(int steps) where TTile : struct, IMatrixProductTile =>
        (steps + TTile.StepUnit - 1) / TTile.StepUnit * TTile.StepUnit;

    /// <summary>Columns with the zeros that are packed after them.</summary>
    public static int WholeColumns<TTile>(int columns) where TTile : struct, IMatrixProductTile =>
        (columns + (TTile.Columns / 2) - 1) / (TTile.Columns / 2) * (TTile.Columns / 2);

    /// <summary>The size of equal pieces of <paramref name="total"/>, none above <paramref name="max"/>, multiples of
    /// <paramref name="unit"/>.</summary>
    private static int Even(int total, int max, int unit)
    {
        max = max / unit * unit;
        var pieces = Math.Max(1, (total + max - 1) / max);
        return ((total + pieces - 1) / pieces + unit - 1) / unit * unit;
    }

    /// <summary>Gives c what it holds before the first product is added, where that is not what it holds already.</summary>
    private static void Start(in MatrixProductOperands product, int top, int bottom, int left, int right)
    {
        var bias = product.Bias == null ? default : new ReadOnlySpan<float>(product.Bias + left, right - left);
        for (var row = top; row < bottom; row++)
        {
            var c = new Span<float>(product.C + ((long)row * product.RowC) + left, right - left);
            if (product.Bias == null)
            {
                if (!product.Accumulate) c.Clear();
            }
            else if (product.Accumulate)
            {
                TensorPrimitives.Add(c, bias, c);
            }
            else
            {
                bias.CopyTo(c);
            }
        }
    }

    private readonly ref struct Block<TTile> where TTile : struct, IMatrixProductTile
    {
        private readonly ref readonly MatrixProductOperands _product;
        private readonly int _column, _columns, _step, _steps, _wholeSteps;
        private readonly byte* _panelA, _stripsB;

        public Block(in MatrixProductOperands product, int column, int columns, int step, int steps)
        {
            _product = ref product;
            (_column, _columns, _step, _steps, _wholeSteps) = (column, columns, step, steps, WholeSteps<TTile>(steps));
            _panelA = MatrixProductPacking.Panel();
            _stripsB = product.PackedB == null
                ? MatrixProductPacking.BlockOf(_panelA)
                : product.PackedB + PackedMatrix.Offset<TTile>(product.N, step, column, _wholeSteps);
        }

        /// <summary>All rows of c from <paramref name="top"/> to <paramref name="bottom"/>, a panel at a time.</summary>
        public void Run(int top, int bottom)
        {
            var leave = TTile.ReadsUnpacked && bottom - top <= MaxRowsInPlace && _product.ColumnB == 1 && _product.PackedB == null
                && _product.HalfB == null;
            var ragged = _columns / TTile.Columns * TTile.Columns;
            if (_product.PackedB == null)
            {
                // The columns of an incomplete tile are packed in any case, so that nothing is read beyond the end of b.
                for (var j = leave ? ragged : 0; j < _columns; j += TTile.Columns) PackB(j);
            }

            // Packed strips follow one another; those left where they are lie side by side.
            var b = leave ? (byte*)(_product.B + ((long)_step * _product.RowB) + _column) : _stripsB;
            var (rowB, stripB) = leave ? (_product.RowB, sizeof(float)) : (TTile.Columns, _wholeSteps * TTile.ElementBytes);
            var (first, last) = (_step == 0, _step + _steps == _product.K);
            var add = !first || _product.Accumulate || _product.Bias != null;
            var edge = stackalloc float[TTile.Rows * TTile.Columns];
            for (int row = top, rows; row < bottom; row += rows)
            {
                rows = TTile.NextRows(bottom - row);
                TTile.PackA(_product, row, rows, _step, _steps, _panelA);
                FetchAhead(row + rows, Math.Min(rows, bottom - row - rows));
                if (first && _product.Bias != null) Start(_product, row, row + rows, _column, _column + _columns);

                var c = _product.C + ((long)row * _product.RowC) + _column;
                for (var j = 0; j < ragged; j += TTile.Columns)
                    TTile.Run(_product, rows, TTile.Columns, _panelA, b + ((long)j * stripB), rowB, _steps, c + j, _product.RowC, add);
                if (ragged < _columns) Edge(rows, ragged, c + ragged, edge, add);
                if (last) _product.Epilogue.Run(row, row + rows, _column, _column + _columns);
            }
        }

        /// <summary>Asks for the next rows of a while tiles are computed: they are short pieces far apart, which processors do not
        /// foresee.</summary>
        private void FetchAhead(int row, int rows)
        {
            const int Line = 64 / sizeof(float);
            if (!Sse.IsSupported || rows <= 0) return;
            var a = _product.A + ((long)row * _product.RowA) + ((long)_step * _product.ColumnA);
            if (_product.ColumnA == 1)
            {
                for (var i = 0; i < rows; i++)
                    for (var k = 0; k < _steps; k += Line) Sse.Prefetch1(a + ((long)i * _product.RowA) + k);
            }
            else
            {
                for (var k = 0; k < _steps; k++) Sse.Prefetch1(a + ((long)k * _product.ColumnA) + rows - 1);
            }
        }

        /// <summary>The incomplete tile at the end of a row is computed beside c, then the columns that exist are copied.</summary>
        private void Edge(int rows, int j, float* c, float* tile, bool add)
        {
            var (columns, width) = (_columns - j, WholeColumns<TTile>(_columns - j));
            TTile.Run(_product, rows, width, _panelA, Strip(j), width, _steps, tile, width, add: false);
            for (var i = 0; i < rows; i++)
            {
                var to = c + ((long)i * _product.RowC);
                var from = tile + (i * width);
                if (add)
                    for (var column = 0; column < columns; column++) to[column] += from[column];
                else
                    for (var column = 0; column < columns; column++) to[column] = from[column];
            }
        }

        /// <summary>Columns <paramref name="j"/> onwards of the block as one strip.</summary>
        private void PackB(int j)
        {
            var columns = Math.Min(TTile.Columns, _columns - j);
            TTile.PackB(_product, _column + j, columns, WholeColumns<TTile>(columns), _step, _steps, Strip(j));
        }

        private byte* Strip(int j) => _stripsB + ((long)j * _wholeSteps * TTile.ElementBytes);
    }
}
