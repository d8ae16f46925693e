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
}
