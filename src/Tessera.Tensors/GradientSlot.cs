using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Where the gradient of one tensor (and of its free views) is collected. The first contribution replaces what was
/// there, later ones add, so that nothing has to be cleared to zero beforehand.
/// </summary>
internal sealed unsafe class GradientSlot(int count, Arena? arena, int depth = 0)
{
    private int _count = count;
    private Arena? _arena = arena;
    private int _depth = depth;
    private Arena? _source;
    private nint _address;
    private NativeBuffer? _buffer;

    public bool HasValue { get; private set; }

    /// <summary>Whether the memory belongs to an arena, so that the tape may hand it back once it is used up.</summary>
    public bool IsTemporary => _arena is not null;

    public Span<float> Values => new((void*)_address, _count);

    /// <summary>The gradient to write to: <paramref name="accumulate"/> tells whether to add to it or to replace it.</summary>
    public Span<float> Write(out bool accumulate)
    {
        accumulate = HasValue;
        if (_address == 0) Take();
        HasValue = true;
        return Values;
    }

    /// <summary>The gradient to add to, cleared to zero where this is the first contribution.</summary>
    public Span<float> Add()
    {
        var values = Write(out var accumulate);
        if (!accumulate) values.Clear();
        return values;
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
        _source.Return(_address, (long)_count * sizeof(float));
        (_address, HasValue) = (0, false);
    }

    internal void Reuse(int count, Arena arena, int depth)
    {
        (_count, _arena, _depth, _source, _address, HasValue) = (count, arena, depth, null, 0, false);
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
