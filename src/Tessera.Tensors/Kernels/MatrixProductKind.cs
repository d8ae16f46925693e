using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>What a product rounds its factors to, and which tile computes it.</summary>
internal enum MatrixProductKind : byte
{
    /// <summary>F32 lanes.</summary>
    F32,

    /// <summary>Factors rounded to F16, F32 lanes.</summary>
    F16,

    /// <summary>Factors rounded to BF16, <c>vdpbf16ps</c>.</summary>
    Bf16,
}

/// <summary>Work on products that is written once for all tiles.</summary>
internal interface IMatrixProductWork
{
    /// <summary>Does one part.</summary>
    /// <typeparam name="V">The vectors of the level.</typeparam>
    /// <typeparam name="TTile">The tile of the product's kind.</typeparam>
    void Run<V, TTile>(int part) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile;
}

/// <summary>The choice of a kind, and of the tile that belongs to it.</summary>
internal static class MatrixProductKinds
{
    /// <summary>With fewer columns or steps than this, conversion costs more than faster products save.</summary>
    private const int MinColumns = 16;

    /// <summary>With fewer rows than this, packing a matrix costs more than multiplying with it.</summary>
    private const int MaxRowsInPlace = 32;

    /// <summary>Whether BF16 products are computed in BF16 rather than in F32.</summary>
    public static bool HasBf16 => Simd.Level >= KernelLevel.Avx512Bf16;

    /// <summary>How a product of the current scope is computed: in F32 where BF16 gains nothing, because the processor has
    /// none or because the product is too small.</summary>
    /// <param name="m">Rows of a.</param>
    /// <param name="n">Columns of b.</param>
    /// <param name="k">Columns of a.</param>
    /// <param name="packed">Whether b needs no packing: earlier products will have packed it, or it is stored in BF16.</param>
    public static MatrixProductKind Choose(int m, int n, int k, bool packed) => Autocast.Current switch
    {
        Precision.F16 => MatrixProductKind.F16,
        Precision.BF16 when HasBf16 && Math.Min(n, k) >= MinColumns && (packed || m >= MaxRowsInPlace) => MatrixProductKind.Bf16,
        _ => MatrixProductKind.F32,
    };

    /// <summary>Does one part of the work with the kind's tile.</summary>
    public static void Run<V, TWork>(this MatrixProductKind kind, ref TWork work, int part)
        where V : struct, ILanes<V>
        where TWork : struct, IMatrixProductWork
    {
        switch (kind)
        {
            case MatrixProductKind.Bf16 when AmxTiles.Available:
                try
                {
                    work.Run<V, MatrixProductTileAmx>(part);
                }
                finally
                {
                    AmxTiles.Release();
                }

                break;
            case MatrixProductKind.Bf16: work.Run<V, MatrixProductTileBf16>(part); break;
            case MatrixProductKind.F16: work.Run<V, MatrixProductTileF16<V>>(part); break;
            default: work.Run<V, MatrixProductTileF32<V>>(part); break;
        }
    }
}
