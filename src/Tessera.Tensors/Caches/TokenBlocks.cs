using System.Diagnostics.CodeAnalysis;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Memory of what decoding has computed of each token, such as its keys or its values: blocks of <see cref="Size"/> tokens, each
/// token <see cref="Heads"/> × <see cref="Width"/> numbers. A sequence keeps a list of blocks (a row of a <see cref="BlockTable"/>);
/// sequences that begin alike share blocks, and one that goes on in a shared block takes a copy of it first.
/// <para>The memory grows by slabs of up to 4 MiB; a block never moves and what is released is used again, most recently released
/// first. Two pools on which the same calls are made in the same order number their blocks alike, so that one table serves the
/// keys and the values of a layer, and all layers that keep the same tokens.</para>
/// <para>For one thread at a time, the one that decodes; the kernels it starts read with several.</para>
/// </summary>
public sealed unsafe class TokenBlocks
{
    /// <summary>Tokens in a block: those of one tile of attention.</summary>
    public const int Size = FlashAttentionTile.Size;

    private const long MaxSlabBytes = 4 << 20;

    private readonly TokenBlockLayout _layout;
    private readonly List<NativeBuffer> _slabs = [];

    // Of each block its address, for the kernels, and how many sequences have it; of free ones the last to be released on top.
    private NativeBuffer _addresses = new(0);
    private int[] _references = [], _free = [];
    private int _used, _freeCount;

    /// <summary>A pool that holds no memory yet.</summary>
    /// <param name="heads">Heads of a token, at least 1.</param>
    /// <param name="width">Numbers of each head, at least 1.</param>
    /// <param name="type">What they are stored as: F32, BF16 or Q8_0.</param>
    /// <exception cref="ShapeException">Sizes below 1, another type, or rows of Q8_0 that are not a multiple of 32 wide.</exception>
    public TokenBlocks(int heads, int width, ElementType type = ElementType.F32) => _layout = Layout(heads, width, type);

    /// <summary>Heads of a token.</summary>
    public int Heads => _layout.Heads;

    /// <summary>Numbers of each head.</summary>
    public int Width => _layout.Width;

    /// <summary>What numbers are stored as.</summary>
    public ElementType Type => _layout.Type;

    /// <summary>How many blocks are held, a shared one once.</summary>
    public int Count => _used - _freeCount;

    /// <summary>Bytes of native memory, that of released blocks included.</summary>
    public long Bytes
    {
        get
        {
            var bytes = 0L;
            foreach (var slab in _slabs) bytes += slab.Bytes;
            return bytes;
        }
    }

    /// <summary>For each block its address: what kernels read.</summary>
    internal nint Addresses => _addresses.Address;

    /// <summary>Bytes of the blocks that a sequence of so many tokens takes; nothing is allocated. What a pool holds beyond the
    /// blocks in use is at most as much again, and at most 4 MiB.</summary>
    /// <param name="tokens">At least 0.</param>
    /// <param name="heads">As of the constructor, and so the others.</param>
    /// <param name="width">Numbers of each head.</param>
    /// <param name="type">What they are stored as.</param>
    /// <exception cref="ShapeException">As the constructor.</exception>
    public static long BytesOf(long tokens, int heads, int width, ElementType type)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        return checked(((tokens / Size) + (tokens % Size == 0 ? 0 : 1)) * Layout(heads, width, type).BlockBytes);
    }

    /// <summary>Takes a block of zeros that nobody else has.</summary>
    /// <returns>Its number: those in use and those released are 0, 1, 2, …</returns>
    public int Take()
    {
        int block;
        if (_freeCount > 0)
        {
            // What was not a number in the sequence that had it would spoil tiles of the next one.
            block = _free[--_freeCount];
            _layout.Clear(AddressOf(block));
        }
        else
        {
            if (_used == _references.Length) Grow();
            block = _used++;
        }

        _references[block] = 1;
        return block;
    }

    /// <summary>One more sequence has the block; each releases it once.</summary>
    /// <exception cref="ArgumentException">The block is not held.</exception>
    public void Share(int block)
    {
        Require(block);
        _references[block] = checked(_references[block] + 1);
    }

    /// <summary>One sequence fewer has the block; that of the last may be taken again.</summary>
    /// <exception cref="ArgumentException">The block is not held.</exception>
    public void Release(int block)
    {
        Require(block);
        if (--_references[block] == 0) _free[_freeCount++] = block;
    }

    /// <summary>Whether more than one sequence has the block, which then must not be written to.</summary>
    /// <exception cref="ArgumentException">The block is not held.</exception>
    public bool IsShared(int block)
    {
        Require(block);
        return _references[block] > 1;
    }

    /// <summary>Takes a block that begins with the first tokens of another, which stays as it is: to write on in what is shared,
    /// take a copy and release the block that was shared.</summary>
    /// <param name="block">The block that is copied.</param>
    /// <param name="tokens">How many of its tokens, 0 to <see cref="Size"/>; zeros follow them.</param>
    /// <exception cref="ArgumentException">The block is not held, or has not so many tokens.</exception>
    public int CopyOf(int block, int tokens)
    {
        RequireTokens(block, 0, tokens);
        var copy = Take();
        _layout.Copy(AddressOf(block), AddressOf(copy), tokens);
        GC.KeepAlive(this);
        return copy;
    }

    /// <summary>Stores tokens, rounded to the block's type as <see cref="Op.Convert(Tensor, ElementType)"/> rounds.</summary>
    /// <param name="block">A block that is not shared.</param>
    /// <param name="firstToken">Where in the block the first goes.</param>
    /// <param name="rows">F32 […, heads, width]: a row is a token.</param>
    /// <param name="firstRow">The first row that is stored.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ShapeException">The rows are of another shape or type, or too few.</exception>
    /// <exception cref="ArgumentException">The block is not held, tokens do not fit it, or Q8_0 is to hold what is not finite.</exception>
    /// <exception cref="InvalidOperationException">The block is shared.</exception>
    public void Write(int block, int firstToken, Tensor rows, int firstRow, int count)
    {
        RequireTokens(block, firstToken, count);
        RequireRows("rows", rows, firstRow, count);
        if (_references[block] > 1)
            throw new InvalidOperationException($"token blocks: block {block} is shared, by {_references[block]}; write to a copy");
        _layout.Store(AddressOf(block), firstToken, rows.Floats[(firstRow * Heads * Width)..], count);
        GC.KeepAlive(rows);
        GC.KeepAlive(this);
    }

    /// <summary>Expands tokens to F32.</summary>
    /// <param name="block">The block.</param>
    /// <param name="firstToken">The first token that is read.</param>
    /// <param name="count">How many.</param>
    /// <param name="to">F32 […, heads, width]: a row is a token.</param>
    /// <param name="firstRow">Where the first goes.</param>
    /// <exception cref="ShapeException">The rows are of another shape or type, or too few.</exception>
    /// <exception cref="ArgumentException">The block is not held, or has not so many tokens.</exception>
    public void Read(int block, int firstToken, int count, Tensor to, int firstRow)
    {
        RequireTokens(block, firstToken, count);
        RequireRows("to", to, firstRow, count);
        _layout.Load(AddressOf(block), firstToken, to.Floats[(firstRow * Heads * Width)..], count);
        GC.KeepAlive(to);
        GC.KeepAlive(this);
    }

    /// <summary>Sizes and type, such as <c>blocks of 64 x 8 x 128 BF16</c>.</summary>
    public override string ToString() => $"blocks of {Size} x {Heads} x {Width} {Type}";

    /// <summary>Requires that somebody has the block.</summary>
    internal void Require(int block)
    {
        if ((uint)block >= (uint)_used || _references[block] == 0) ThrowNotHeld(block);
    }

    [DoesNotReturn]
    private void ThrowNotHeld(int block)
    {
        var known = _used == 0 ? "" : $"; 0 to {_used - 1} were";
        var why = (uint)block < (uint)_used ? "has been released" : $"was never taken{known}";
        throw new ArgumentException($"token blocks: block {block} {why}", nameof(block));
    }

    private static TokenBlockLayout Layout(int heads, int width, ElementType type)
    {
        if (heads < 1 || width < 1) throw new ShapeException($"token blocks: {heads} heads of {width} numbers, expected at least 1 of 1");
        if (type is not (ElementType.F32 or ElementType.BF16 or ElementType.Q8_0))
            throw new ShapeException($"token blocks: type is {type}, expected F32, BF16 or Q8_0");
        if (width % type.BlockElements() != 0)
            throw new ShapeException($"token blocks: a head of {type} is {width} wide, expected a multiple of {type.BlockElements()}");
        return new TokenBlockLayout(heads, width, type);
    }

    private static void RequireWithin(string what, int first, int count, int size)
    {
        if (first < 0 || count < 0 || first > size - count)
            throw new ArgumentException($"token blocks: {count} {what} from {first} on are asked for; there are {size}", nameof(count));
    }

    private nint AddressOf(int block) => ((nint*)_addresses.Address)[block];

    private void RequireTokens(int block, int firstToken, int count)
    {
        Require(block);
        RequireWithin("tokens of a block", firstToken, count, Size);
    }

    private void RequireRows(string argument, Tensor rows, int firstRow, int count)
    {
        var shape = rows.Shape;
        ShapeException.Require(
            rows.Type == ElementType.F32 && shape.Rank >= 2 && shape[^1] == Width && shape[^2] == Heads
            && firstRow >= 0 && firstRow <= (shape.Rows / Heads) - count,
            "token blocks", argument, rows, $"F32 [at least {(long)firstRow + count} rows, {Heads}, {Width}]");
    }

    /// <summary>Adds a slab: as many blocks as there are, one at least, up to <see cref="MaxSlabBytes"/>.</summary>
    private void Grow()
    {
        var blocks = (int)Math.Clamp(_used, 1, Math.Max(1, MaxSlabBytes / _layout.BlockBytes));
        var capacity = checked(_used + blocks);
        var slab = new NativeBuffer(blocks * _layout.BlockBytes);
        var addresses = new NativeBuffer(capacity * (long)sizeof(nint));
        new ReadOnlySpan<nint>((void*)_addresses.Address, _used).CopyTo(new Span<nint>((void*)addresses.Address, capacity));
        for (var i = 0; i < blocks; i++) ((nint*)addresses.Address)[_used + i] = slab.Address + (nint)(i * _layout.BlockBytes);
        Array.Resize(ref _references, capacity);
        Array.Resize(ref _free, capacity);
        _slabs.Add(slab);
        _addresses.Dispose();
        _addresses = addresses;
    }
}
