using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>What a processor answers with #UD, #GP or a fault; the message says which rule was broken.</summary>
internal sealed class AmxFault(string message) : Exception(message);

/// <summary>
/// The tiles of one thread as Intel describes them (Software Developer's Manual, volume 2, operation sections of LDTILECFG,
/// TILELOADD, TILESTORED, TILEZERO, TILERELEASE, TDPBF16PS, TDPBSSD, TDPBUSD, and exception classes AMX-E1 to E6):
/// palette 1, eight tiles of at most 16 rows of 64 bytes. It works on memory through <see cref="Memory"/>.
/// </summary>
internal sealed unsafe class AmxEmulatedTiles(EmulatedMemory memory)
{
    private const int Tiles = 8, MaxRows = 16, MaxRowBytes = 64;

    private readonly byte[] _data = new byte[Tiles * MaxRows * MaxRowBytes];
    private readonly int[] _rows = new int[Tiles], _rowBytes = new int[Tiles];

    public bool Configured { get; private set; }

    /// <summary>How often tiles were configured, loaded from memory, and multiplied.</summary>
    public int Configurations { get; private set; }

    public int Loads { get; private set; }

    public int Products { get; private set; }

    public void LoadConfiguration(ulong address)
    {
        var bytes = new ReadOnlySpan<byte>(memory.Read(address, 64), 64);
        if (bytes[0] > 1) throw new AmxFault($"#GP: palette {bytes[0]} is not supported");
        if (bytes[0] == 0)
        {
            Release();
            return;
        }

        // A row to start at is for instructions that a fault interrupted; no routine of ours may ask for one.
        if (bytes[1] != 0) throw new AmxFault($"start row {bytes[1]} is for restarts only");
        if (bytes[2..16].ContainsAnyExcept((byte)0) || bytes[32..48].ContainsAnyExcept((byte)0) || bytes[56..].ContainsAnyExcept((byte)0))
            throw new AmxFault("#GP: reserved bytes of the configuration are not 0");
        for (var tile = 0; tile < Tiles; tile++)
        {
            var (rows, rowBytes) = (bytes[48 + tile], MemoryMarshal.Read<ushort>(bytes[(16 + (2 * tile))..]));
            if (rows > MaxRows || rowBytes > MaxRowBytes)
                throw new AmxFault($"#GP: tile {tile} of {rows} rows of {rowBytes} bytes is too large");
            if (rows == 0 != (rowBytes == 0)) throw new AmxFault($"#GP: tile {tile} has {rows} rows of {rowBytes} bytes");
            (_rows[tile], _rowBytes[tile]) = (rows, rowBytes);
        }

        Array.Clear(_data);
        Configured = true;
        Configurations++;
    }

    public void Release()
    {
        Array.Clear(_data);
        Array.Clear(_rows);
        Array.Clear(_rowBytes);
        Configured = false;
    }

    public void Zero(int tile)
    {
        Require(tile);
        Data(tile).Clear();
    }

    public void Load(int tile, ulong start, ulong stride)
    {
        RequireWholeElements(tile);
        Data(tile).Clear();
        for (var row = 0; row < _rows[tile]; row++)
            new ReadOnlySpan<byte>(memory.Read(start + ((ulong)row * stride), _rowBytes[tile]), _rowBytes[tile]).CopyTo(Row(tile, row));
        Loads++;
    }

    public void Store(int tile, ulong start, ulong stride)
    {
        RequireWholeElements(tile);
        for (var row = 0; row < _rows[tile]; row++)
            Row(tile, row)[.._rowBytes[tile]]
                .CopyTo(new Span<byte>(memory.Write(start + ((ulong)row * stride), _rowBytes[tile]), _rowBytes[tile]));
    }

    /// <summary>TDPBF16PS: even and odd products of a row and a column are summed apart, each a fused multiply-add, then
    /// together, then added to c; rounded to nearest even, subnormal inputs and outputs 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void MultiplyBFloat16(int c, int a, int b)
    {
        RequireFit(c, a, b);
        var (columns, pairs) = (_rowBytes[c] / 4, _rowBytes[a] / 4);
        Span<float> even = stackalloc float[MaxRows], odd = stackalloc float[MaxRows];
        for (var row = 0; row < _rows[c]; row++)
        {
            even.Clear();
            odd.Clear();
            var rowA = MemoryMarshal.Cast<byte, ushort>(Row(a, row));
            for (var pair = 0; pair < pairs; pair++)
            {
                var rowB = MemoryMarshal.Cast<byte, ushort>(Row(b, pair));
                for (var column = 0; column < columns; column++)
                {
                    even[column] = MultiplyAdd(rowA[2 * pair], rowB[2 * column], even[column]);
                    odd[column] = MultiplyAdd(rowA[(2 * pair) + 1], rowB[(2 * column) + 1], odd[column]);
                }
            }

            var sums = MemoryMarshal.Cast<byte, float>(Row(c, row));
            for (var column = 0; column < columns; column++)
                sums[column] = Flushed(Flushed(sums[column]) + Flushed(even[column] + odd[column]));
        }

        ZeroBeyond(c);
        Products++;
    }

    /// <summary>TDPBSSD and TDPBUSD: four products of 8-bit integers are added to an I32, which wraps around.</summary>
    public void MultiplyBytes(int c, int a, int b, bool signedA)
    {
        RequireFit(c, a, b);
        for (var row = 0; row < _rows[c]; row++)
        {
            var rowA = Row(a, row);
            var sums = MemoryMarshal.Cast<byte, int>(Row(c, row));
            for (var quad = 0; quad < _rowBytes[a] / 4; quad++)
            {
                var rowB = Row(b, quad);
                for (var column = 0; column < _rowBytes[c] / 4; column++)
                    for (var i = 0; i < 4; i++)
                    {
                        var left = rowA[(4 * quad) + i];
                        sums[column] = unchecked(sums[column] + ((signedA ? (sbyte)left : left) * (sbyte)rowB[(4 * column) + i]));
                    }
            }
        }

        ZeroBeyond(c);
        Products++;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float MultiplyAdd(ushort left, ushort right, float sum) =>
        Flushed(MathF.FusedMultiplyAdd(Flushed(Widened(left)), Flushed(Widened(right)), sum));

    private static float Widened(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private static float Flushed(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    private void ZeroBeyond(int tile)
    {
        for (var row = 0; row < MaxRows; row++) Row(tile, row)[(row < _rows[tile] ? _rowBytes[tile] : 0)..].Clear();
    }

    private void Require(int tile)
    {
        if (!Configured) throw new AmxFault("#UD: no tiles are configured");
        if (_rows[tile] == 0) throw new AmxFault($"#UD: tile {tile} is not configured");
    }

    private void RequireWholeElements(int tile)
    {
        Require(tile);
        if (_rowBytes[tile] % 4 != 0) throw new AmxFault($"#UD: rows of {_rowBytes[tile]} bytes in tile {tile} are no multiple of 4");
    }

    private void RequireFit(int c, int a, int b)
    {
        if (c == a || a == b || c == b) throw new AmxFault($"#UD: tiles {c}, {a}, {b} are not three");
        foreach (var tile in (int[])[c, a, b]) RequireWholeElements(tile);
        if (_rows[c] != _rows[a]) throw new AmxFault($"#UD: {_rows[a]} rows of a for {_rows[c]} of c");
        if (_rowBytes[a] != 4 * _rows[b]) throw new AmxFault($"#UD: rows of {_rowBytes[a]} bytes of a for {_rows[b]} rows of b");
        if (_rowBytes[c] != _rowBytes[b]) throw new AmxFault($"#UD: rows of {_rowBytes[b]} bytes of b for {_rowBytes[c]} of c");
    }

    private Span<byte> Data(int tile) => _data.AsSpan(tile * MaxRows * MaxRowBytes, MaxRows * MaxRowBytes);

    private Span<byte> Row(int tile, int row) => Data(tile).Slice(row * MaxRowBytes, MaxRowBytes);
}

/// <summary>The memory that a routine under emulation may use: the process's own, or only what is declared.</summary>
internal sealed unsafe class EmulatedMemory
{
    private readonly List<(ulong Start, ulong End, bool Writable)> _regions = [];

    /// <summary>Whether everything may be used, as by a routine that the library itself calls.</summary>
    public bool Everything { get; init; }

    /// <summary>Where the argument of the running routine is, which it may read: that of a product, or a configuration.</summary>
    public nint Argument { get; set; }

    /// <summary>Lets a routine use memory.</summary>
    public void Declare(void* start, long bytes, bool writable = false) =>
        _regions.Add(((ulong)start, (ulong)start + (ulong)bytes, writable));

    public byte* Read(ulong address, int bytes) => Use(address, bytes, writing: false);

    public byte* Write(ulong address, int bytes) => Use(address, bytes, writing: true);

    private byte* Use(ulong address, int bytes, bool writing)
    {
        if (Everything) return (byte*)address;
        var argument = (ulong)Argument;
        if (!writing && address >= argument && address + (ulong)bytes <= argument + (ulong)sizeof(AmxOperands)) return (byte*)address;
        foreach (var (start, end, writable) in _regions)
            if (address >= start && address + (ulong)bytes <= end && (writable || !writing)) return (byte*)address;
        throw new AmxFault($"#PF: {(writing ? "writes" : "reads")} {bytes} bytes at {address:x}, which are not declared");
    }
}
