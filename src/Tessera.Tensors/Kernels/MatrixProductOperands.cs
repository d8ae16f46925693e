namespace Tessera.Tensors.Kernels;

/// <summary>
/// One product <c>c = a b</c>, <c>c += a b</c>, either with a row added to each row of c; element (i, j) of a matrix lies
/// at <c>i · row + j · column</c>.
/// </summary>
internal unsafe struct MatrixProductOperands
{
    public float* A, B, C;

    /// <summary>Where not null, b as rows of BF16 numbers in place of <see cref="B"/>, with the same strides.</summary>
    public ushort* HalfB;

    /// <summary>Where not null, all of b as <see cref="PackedMatrix"/> lays it out; b itself is not read then.</summary>
    public byte* PackedB;

    /// <summary>n elements that are added to every row of c, or null.</summary>
    public float* Bias;

    /// <summary>a is m × k, b is k × n, c is m × n.</summary>
    public int M, N, K;

    /// <summary>Distances in elements.</summary>
    public int RowA, ColumnA, RowB, ColumnB, RowC;

    /// <summary>Whether to add to what c holds.</summary>
    public bool Accumulate;

    /// <summary>In which tiles the product is computed.</summary>
    public MatrixProductKind Kind;

    /// <summary>What is done with each block of c once it is complete, or none.</summary>
    public MatrixProductEpilogue Epilogue;
}

/// <summary>Work on the elements of c that follows a product: each block of rows goes through it while it is in the first-level cache.
/// None where default.</summary>
/// <param name="run">Takes the state, then the first row of the block, the row after its last, and the columns alike.</param>
/// <param name="state">What the work needs; it stays where it is until the product is done.</param>
internal readonly unsafe struct MatrixProductEpilogue(delegate*<void*, int, int, int, int, void> run, void* state)
{
    private readonly delegate*<void*, int, int, int, int, void> _run = run;
    private readonly void* _state = state;

    /// <summary>Does rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/>, on the calling thread; each element of c once.</summary>
    public void Run(int top, int bottom, int left, int right)
    {
        if (_run != null) _run(_state, top, bottom, left, right);
    }
}
