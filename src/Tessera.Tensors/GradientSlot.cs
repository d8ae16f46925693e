using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Where the gradient of one tensor (and of its free views) is collected. The first contribution replaces what was
/// there, later ones add, so that nothing has to be cleared to zero beforehand.
/// </summary>
internal sealed unsafe class GradientSlot
{
    private int _count;
    private Arena? _arena;
    private int _depth;
    private Arena? _source;
    private GradientSlot _nextSharer;
    private nint _address;
    private NativeBuffer? _buffer;

    public GradientSlot(int count, Arena? arena, int depth = 0)
    {
        (_count, _arena, _depth) = (count, arena, depth);
        _nextSharer = this;
    }

    public bool HasValue { get; private set; }

    /// <summary>Whether the memory belongs to an arena, so that the tape may hand it back once it is used up.</summary>
    public bool IsTemporary => _arena is not null;

    public Span<float> Values => new((void*)_address, _count);

    /// <summary>The gradient to write to: <paramref name="accumulate"/> tells whether to add to it or to replace it.</summary>
    public Span<float> Write(out bool accumulate)
    {
        accumulate = HasValue;
        if (IsShared) Part();
        if (_address == 0) Take();
        HasValue = true;
        return Values;
    }

    /// <summary>As <see cref="Write"/>; where there is no gradient yet the memory is that of a gradient that nobody else needs
    /// once each of its elements has been read.</summary>
    public Span<float> WriteOver(GradientSlot used, out bool accumulate)
    {
        if (!CanHaveMemoryOf(used) || used.IsShared) return Write(out accumulate);
        (_source, _address, HasValue, accumulate) = (used._source, used._address, true, false);
        (used._address, used.HasValue) = (0, false);
        return Values;
    }

    /// <summary>The gradient to add to, cleared to zero where this is the first contribution.</summary>
    public Span<float> Add()
    {
        var values = Write(out var accumulate);
        if (!accumulate) RowKernels.Clear(values);
        return values;
    }

    /// <summary>Adds the gradient of another slot.</summary>
    public void Add(GradientSlot other)
    {
        if (!CanHaveMemoryOf(other))
        {
            Add(other.Values);
            return;
        }

        (_source, _address, HasValue) = (other._source, other._address, true);
        (_nextSharer, other._nextSharer) = (other._nextSharer, this);
    }

    /// <summary>Adds a contribution.</summary>
    public void Add(ReadOnlySpan<float> contribution)
    {
        var values = Write(out var accumulate);
        if (accumulate) SumKernel.Add(values, contribution, values);
        else contribution.CopyTo(values);
    }

    public void Clear() => HasValue = false;

    /// <summary>Hands temporary memory back to the arena.</summary>
    public void Return()
    {
        if (_source is null || _address == 0) return;
        if (IsShared) LeaveSharers();
        else _source.Return(_address, (long)_count * sizeof(float));
        (_address, HasValue) = (0, false);
    }

    internal void Reuse(int count, Arena arena, int depth)
    {
        (_count, _arena, _depth, _source, _address, HasValue) = (count, arena, depth, null, 0, false);
        _nextSharer = this;
    }

    private bool IsShared => _nextSharer != this;

    /// <summary>Whether this slot has no memory yet and the other's, which has a value, lives exactly as long.</summary>
    private bool CanHaveMemoryOf(GradientSlot other) =>
        _address == 0 && other.HasValue && _arena is not null && _arena == other._arena && _depth == other._depth && _count == other._count;

    /// <summary>Takes memory of its own, with the same value if there is one.</summary>
    private void Part()
    {
        var shared = Values;
        LeaveSharers();
        Take();
        if (HasValue) shared.CopyTo(Values);
    }

    private void LeaveSharers()
    {
        var last = this;
        while (last._nextSharer != this) last = last._nextSharer;
        (last._nextSharer, _nextSharer) = (_nextSharer, this);
    }

    private void Take()
    {
        var bytes = (long)_count * sizeof(float);
        if (_arena is not null)
        {
            _source = _arena.For(_depth);
            _address = _source.Take(bytes);
            return;
        }

        _buffer = new NativeBuffer(bytes);
        _address = _buffer.Address;
    }
}
