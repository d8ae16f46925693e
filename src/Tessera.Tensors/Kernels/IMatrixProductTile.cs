namespace Tessera.Tensors.Kernels;

/// <summary>
/// A kind of tile: how many elements of c are computed at once, in which order the tile reads a and b, and its innermost
/// loop. <see cref="MatrixProductBlocks"/> does the rest, the same for all.
/// <para>A <em>panel</em> is some rows of a over a piece of k; a <em>strip</em> is the columns of b that a tile has, over
/// a piece of k.</para>
/// </summary>
internal unsafe interface IMatrixProductTile
{
    /// <summary>The most rows.</summary>
    static abstract int Rows { get; }

    /// <summary>The columns of a full tile; the last one of a matrix may be half as wide.</summary>
    static abstract int Columns { get; }

    /// <summary>Bytes of a packed element.</summary>
    static abstract int ElementBytes { get; }

    /// <summary>Pieces of k are multiples of this but for the last, which is packed with zeros after it.</summary>
    static abstract int StepUnit { get; }

    /// <summary>The longest piece of k taken at once.</summary>
    static abstract int LongestStep { get; }

    /// <summary>The most bytes of strips that are used at once: what the second-level cache of a core holds beside the rest;
    /// at most <see cref="MatrixProductPacking.BlockBytes"/>.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>Whether the tile can also read b where it lies, rows dense.</summary>
    static abstract bool ReadsUnpacked { get; }

    /// <summary>The height of the next tile when <paramref name="left"/> rows are left.</summary>
    static abstract int NextRows(int left);

    /// <summary>Packs a panel: <paramref name="rows"/> rows of a from <paramref name="row"/>, <paramref name="steps"/> steps
    /// of k from <paramref name="step"/>; at most <see cref="MatrixProductPacking.PanelBytes"/>.</summary>
    static abstract void PackA(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to);

    /// <summary>Packs a strip: <paramref name="columns"/> columns of b from <paramref name="column"/>, then zeros to
    /// <paramref name="width"/>, which is <see cref="Columns"/> or half of it; <paramref name="steps"/> steps of k from
    /// <paramref name="step"/>.</summary>
    static abstract void PackB(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, byte* to);

    /// <summary>Computes a tile of c of <paramref name="width"/> whole columns.</summary>
    /// <param name="product">What the panel and the strip were packed for.</param>
    /// <param name="rows">As <see cref="NextRows"/> gives them.</param>
    /// <param name="width"><see cref="Columns"/> or half of it.</param>
    /// <param name="a">A packed panel.</param>
    /// <param name="b">A packed strip, or b where it lies.</param>
    /// <param name="rowB">Columns from one row of b to the next: the width where packed.</param>
    /// <param name="steps">How many products each element sums.</param>
    /// <param name="c">Where the tile is stored.</param>
    /// <param name="rowC">Floats from one row of c to the next.</param>
    /// <param name="add">Whether to add to what c holds.</param>
    static abstract void Run(
        in MatrixProductOperands product, int rows, int width, byte* a, byte* b, int rowB, int steps, float* c, int rowC, bool add);
}
