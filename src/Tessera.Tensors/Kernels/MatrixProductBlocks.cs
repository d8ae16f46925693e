using System.Numerics.Tensors;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// One product <c>c = a b</c>, <c>c += a b</c>, either with a row added to each row of c; element (i, j) of a matrix lies
/// at <c>i · row + j · column</c>.
/// </summary>
internal unsafe struct MatrixProductOperands
{
    public float* A, B, C;

    /// <summary>n elements that are added to every row of c, or null.</summary>
    public float* Bias;

    /// <summary>a is m × k, b is k × n, c is m × n.</summary>
    public int M, N, K;

    /// <summary>Distances in elements.</summary>
    public int RowA, ColumnA, RowB, ColumnB, RowC;

    /// <summary>Whether to add to what c holds.</summary>
    public bool Accumulate;
}

/// <summary>
/// Products that are cut into blocks which fit the caches: a block of b (some of k, some of n) is packed once and stays
/// in the second level while the rows of a go by, a panel of as many rows as a tile has at a time, packed in the first.
/// <para>Goto, van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with the parts of a and b
/// exchanged because c has dense rows.</para>
/// </summary>
internal static unsafe class MatrixProductBlocks
{
    /// <summary>With no more rows than this, each element of b is used so few times that packing it does not pay.</summary>
    private const int FewRows = 24;

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread.</summary>
    public static void Run<V>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
    {
        if (top >= bottom || left >= right) return;
        if (product.K == 0) Start(product, top, bottom, left, right);

        var tileColumns = MatrixProductTile.Columns<V>();
        var steps = Even(product.K, MatrixProductPacking.LongestStep, 4);
        var columns = Even(right - left, MatrixProductPacking.BlockFloats / Math.Max(steps, 1), tileColumns);
        for (var column = left; column < right; column += columns)
        {
            for (var step = 0; step < product.K; step += steps)
            {
                var block = new Block<V>(product, column, Math.Min(columns, right - column), step, Math.Min(steps, product.K - step));
                if (bottom - top > FewRows || product.ColumnB != 1) block.PackB();
                block.Run(top, bottom);
            }
        }
    }

    /// <summary>The size of equal pieces of <paramref name="total"/>, none above <paramref name="most"/>, multiples of
    /// <paramref name="unit"/>.</summary>
    private static int Even(int total, int most, int unit)
    {
        most = most / unit * unit;
        var pieces = Math.Max(1, (total + most - 1) / most);
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

    private ref struct Block<V> where V : struct, ILanes<V>
    {
        private readonly ref readonly MatrixProductOperands _product;
        private readonly int _column, _columns, _step, _steps;
        private readonly float* _panelA, _blockB;
        private bool _packed;

        public Block(in MatrixProductOperands product, int column, int columns, int step, int steps)
        {
            _product = ref product;
            (_column, _columns, _step, _steps) = (column, columns, step, steps);
            _panelA = MatrixProductPacking.Panel();
            _blockB = MatrixProductPacking.BlockOf(_panelA);
        }

        private static int TileColumns => MatrixProductTile.Columns<V>();

        public void PackB()
        {
            _packed = true;
            for (var j = 0; j < _columns; j += TileColumns) PackB(j);
        }

        /// <summary>All rows of c from <paramref name="top"/> to <paramref name="bottom"/>, a panel at a time.</summary>
        public void Run(int top, int bottom)
        {
            // The columns of an incomplete tile are packed in any case, so that nothing is read beyond the end of b.
            var ragged = _columns % TileColumns == 0 ? _columns : _columns / TileColumns * TileColumns;
            if (!_packed && ragged < _columns) PackB(ragged);
            var first = _step == 0;
            var add = !first || _product.Accumulate || _product.Bias != null;
            var edge = stackalloc float[MatrixProductTile.Rows<V>() * TileColumns];
            for (int row = top, rows; row < bottom; row += rows)
            {
                rows = MatrixProductTile.NextRows<V>(bottom - row);
                var a = _product.A + ((long)row * _product.RowA) + ((long)_step * _product.ColumnA);
                MatrixProductPacking.Pack<V>(a, _product.RowA, _product.ColumnA, rows, rows, _steps, _panelA);
                if (first && _product.Bias != null) Start(_product, row, row + rows, _column, _column + _columns);

                // Packed tiles follow one another; those left where they are lie side by side.
                var b = _packed ? _blockB : _product.B + ((long)_step * _product.RowB) + _column;
                var (rowB, stepB) = _packed ? (TileColumns, (long)_steps) : (_product.RowB, 1);
                var c = _product.C + ((long)row * _product.RowC) + _column;
                for (var j = 0; j < ragged; j += TileColumns)
                {
                    MatrixProductTile.Run<V, Two>(rows, _panelA, b + (j * stepB), rowB, _steps, c + j, _product.RowC, add);
                }

                if (ragged < _columns) Edge(rows, ragged, c + ragged, edge, add);
            }
        }

        /// <summary>The incomplete tile at the end of a row is computed beside c, then the columns that exist are copied.</summary>
        private readonly void Edge(int rows, int j, float* c, float* tile, bool add)
        {
            var (columns, width) = (_columns - j, Width(_columns - j));
            if (width == V.Count)
                MatrixProductTile.Run<V, One>(rows, _panelA, _blockB + ((long)j * _steps), width, _steps, tile, width, add: false);
            else
                MatrixProductTile.Run<V, Two>(rows, _panelA, _blockB + ((long)j * _steps), width, _steps, tile, width, add: false);
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

        /// <summary>Columns <paramref name="j"/> onwards of the block as one tile; the last one may be a single vector wide.</summary>
        private readonly void PackB(int j)
        {
            var lanes = Math.Min(TileColumns, _columns - j);
            var b = _product.B + ((long)_step * _product.RowB) + ((long)(_column + j) * _product.ColumnB);
            MatrixProductPacking.Pack<V>(b, _product.ColumnB, _product.RowB, lanes, Width(lanes), _steps, _blockB + ((long)j * _steps));
        }

        private static int Width(int lanes) => lanes <= V.Count ? V.Count : TileColumns;
    }
}
