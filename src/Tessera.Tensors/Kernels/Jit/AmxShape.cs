using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// How large the tiles of one block product are: c has <see cref="Rows"/> × <see cref="Columns"/> elements of four bytes, and
/// one step of k is <see cref="StepBytes"/> bytes of a row of a. Tiles have at most 16 rows of 64 bytes, and a block is two
/// tiles high and two wide at most, so that four of the eight tiles hold sums, two hold a and two hold b.
/// </summary>
internal readonly record struct AmxShape
{
    /// <summary>The most rows of c and of a.</summary>
    public const int MaxRows = 2 * TileRows;

    /// <summary>The most columns of c and of b.</summary>
    public const int MaxColumns = 2 * TileRows;

    /// <summary>The bytes of a row of a that a whole step takes: 32 BF16 or 64 numbers of 8 bits.</summary>
    public const int WholeStep = 64;

    /// <summary>The rows of a tile, and its columns of four bytes.</summary>
    public const int TileRows = 16;

    private const int ElementBytes = 4;

    /// <summary>A shape.</summary>
    /// <param name="rows">1 to <see cref="MaxRows"/>.</param>
    /// <param name="columns">1 to <see cref="MaxColumns"/>.</param>
    /// <param name="stepBytes">A multiple of 4 up to <see cref="WholeStep"/>; 32 for one block of Q8_0, say.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    public AmxShape(int rows, int columns, int stepBytes = WholeStep)
    {
        if (rows is < 1 or > MaxRows) throw new ArgumentOutOfRangeException(nameof(rows), rows, $"must be 1 to {MaxRows}");
        if (columns is < 1 or > MaxColumns) throw new ArgumentOutOfRangeException(nameof(columns), columns, $"must be 1 to {MaxColumns}");
        if (stepBytes is < 4 or > WholeStep || stepBytes % ElementBytes != 0)
            throw new ArgumentOutOfRangeException(nameof(stepBytes), stepBytes, $"must be a multiple of {ElementBytes} up to {WholeStep}");
        (Rows, Columns, StepBytes) = (rows, columns, stepBytes);
    }

    public int Rows { get; }

    public int Columns { get; }

    public int StepBytes { get; }

    /// <summary>1, or 2 where the rows do not fit one tile.</summary>
    public int RowTiles => Rows > TileRows ? 2 : 1;

    /// <summary>1, or 2 where the columns do not fit one tile.</summary>
    public int ColumnTiles => Columns > TileRows ? 2 : 1;

    /// <summary>What <c>ldtilecfg</c> takes for this shape; the tiles are used as <see cref="AmxWriter"/> numbers them.</summary>
    public AmxConfiguration Configuration()
    {
        var configuration = new AmxConfiguration(palette: 1);
        for (var i = 0; i < RowTiles; i++)
        {
            for (var j = 0; j < ColumnTiles; j++) configuration.Set(AmxWriter.Sum(i, j), RowsOf(i), ColumnsOf(j) * ElementBytes);
            configuration.Set(AmxWriter.A(i), RowsOf(i), StepBytes);
        }

        for (var j = 0; j < ColumnTiles; j++)
            configuration.Set(AmxWriter.B(j), StepBytes / ElementBytes, ColumnsOf(j) * ElementBytes);
        return configuration;
    }

    private int RowsOf(int tile) => Math.Min(TileRows, Rows - (tile * TileRows));

    private int ColumnsOf(int tile) => Math.Min(TileRows, Columns - (tile * TileRows));
}

/// <summary>
/// The 64 bytes that <c>ldtilecfg</c> reads: the palette, then from byte 16 the bytes of a row of each tile and from byte 48
/// its rows; all others are 0. Intel, Software Developer's Manual, volume 2A, LDTILECFG.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal unsafe struct AmxConfiguration
{
    [FieldOffset(0)] private byte _palette;
    [FieldOffset(16)] private fixed ushort _rowBytes[8];
    [FieldOffset(48)] private fixed byte _rows[8];

    public AmxConfiguration(byte palette) => _palette = palette;

    /// <summary>Gives tile <paramref name="tile"/>, 0 to 7, its size; a tile that is given none cannot be used.</summary>
    public void Set(int tile, int rows, int rowBytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)tile, 7u, nameof(tile));
        _rows[tile] = (byte)rows;
        _rowBytes[tile] = (ushort)rowBytes;
    }
}
