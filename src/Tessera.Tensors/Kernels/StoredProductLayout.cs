namespace Tessera.Tensors.Kernels;

/// <summary>
/// How blocks of any quantized type lie once they are unpacked, for vectors and for tiles alike. A block of 32 outputs is four columns
/// of all outputs as signed bytes, the next four and so on, which is the second factor of <c>vpdpbusd</c> and of <c>tdpbssd</c>; then for
/// each output <c>−128 Σ q</c>, which undoes that the first factor of <c>vpdpbusd</c> is unsigned, its scale, and its minimum where there
/// are minima.
/// </summary>
/// <param name="Quads">Columns of a block, over four: 8, or 4 where 16 columns have a scale of their own.</param>
/// <param name="HasMinimum">Whether outputs have minima.</param>
internal readonly record struct StoredProductLayout(int Quads, bool HasMinimum)
{
    private const int OutputBytes = Jit.StoredProductTile.Outputs * sizeof(int);

    /// <summary>Columns of a block.</summary>
    public int Columns => Quads * sizeof(int);

    /// <summary>Where in a block −128 Σ q begins.</summary>
    public int Offsets => Quads * OutputBytes;

    /// <summary>Where in a block scales begin.</summary>
    public int Scales => Offsets + OutputBytes;

    /// <summary>Where in a block minima begin.</summary>
    public int Minima => Scales + OutputBytes;

    /// <summary>Bytes of a block of 32 outputs.</summary>
    public int BlockBytes => HasMinimum ? Minima + OutputBytes : Minima;

    /// <summary>Bytes of one row of x in a block: its numbers, its scale, and its sum where there are minima to multiply.</summary>
    public int RowBytes => (Quads + (HasMinimum ? 2 : 1)) * sizeof(int);

    /// <summary>The layout of a type's blocks.</summary>
    public static StoredProductLayout Of<B>() where B : struct, IStoredBlock<B> => new(B.HasLastScale ? 4 : 8, B.HasMinimum);
}
