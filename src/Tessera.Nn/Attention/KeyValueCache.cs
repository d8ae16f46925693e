using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Keys and values of earlier tokens: <c>[batch, capacity, heads, width]</c> each, O(length) memory.</summary>
public sealed class KeyValueCache : Cache
{
    private Tensor _keys;
    private Tensor _values;
    private Tensor? _spareKeys;
    private Tensor? _spareValues;

    /// <summary>An empty cache.</summary>
    /// <param name="batch">The greatest number of rows.</param>
    /// <param name="capacity">The greatest number of tokens a row.</param>
    /// <param name="heads">Key and value heads.</param>
    /// <param name="keyWidth">The width of a key.</param>
    /// <param name="valueWidth">The width of a value; 0 where values are read off the keys.</param>
    public KeyValueCache(int batch, int capacity, int heads, int keyWidth, int valueWidth)
    {
        _keys = Tensor.Allocate([batch, capacity, heads, keyWidth]);
        _values = Tensor.Allocate([batch, capacity, heads, valueWidth]);
    }

    /// <summary>[batch, capacity, heads, width].</summary>
    public Tensor Keys => _keys;

    /// <summary>[batch, capacity, heads, width].</summary>
    public Tensor Values => _values;

    /// <summary>How many positions have been written in the longest row.</summary>
    public int Count { get; private set; }

    /// <inheritdoc/>
    public override long Bytes => (_keys.Shape.Count + _values.Shape.Count) * sizeof(float) * (_spareKeys is null ? 1 : 2);

    /// <summary>Writes the keys and values of new tokens at their positions.</summary>
    /// <param name="keys">[rows, length, heads, width].</param>
    /// <param name="values">[rows, length, heads, width].</param>
    /// <param name="positions">I32 [rows, length]: consecutive from the first of a row.</param>
    /// <exception cref="ShapeException">A position is beyond the capacity.</exception>
    public void Write(Tensor keys, Tensor values, Tensor positions)
    {
        var (rows, length, capacity) = (keys.Shape[0], keys.Shape[1], _keys.Shape[1]);
        for (var row = 0; row < rows; row++)
        {
            var first = positions.Ints[row * length];
            if (first < 0 || first + length > capacity)
                throw new ShapeException($"cache: positions {first} to {first + length - 1} do not fit a cache of {capacity} tokens");
            Copy(keys, row, _keys, first);
            Copy(values, row, _values, first);
            Count = Math.Max(Count, first + length);
        }
    }

    /// <inheritdoc/>
    public override void Select(ReadOnlySpan<int> rows)
    {
        if (IsUnchanged(rows)) return;
        Select(rows, ref _keys, ref _spareKeys);
        Select(rows, ref _values, ref _spareValues);
    }

    /// <inheritdoc/>
    public override void Clear() => Count = 0;

    /// <summary>Leading rows that stay where they are need no copy.</summary>
    private static bool IsUnchanged(ReadOnlySpan<int> rows)
    {
        for (var row = 0; row < rows.Length; row++)
            if (rows[row] != row) return false;
        return true;
    }

    private static void Copy(Tensor from, int row, Tensor to, int position)
    {
        var token = to.Shape[2] * to.Shape[3];
        var count = from.Shape[1] * token;
        from.Floats.Slice(row * count, count).CopyTo(to.Floats[((((row * to.Shape[1]) + position) * token))..]);
    }

    private void Select(ReadOnlySpan<int> rows, ref Tensor tensor, ref Tensor? spare)
    {
        spare ??= Tensor.Allocate(tensor.Shape);
        var token = tensor.Shape[2] * tensor.Shape[3];
        var (whole, used) = (tensor.Shape[1] * token, Count * token);
        for (var row = 0; row < rows.Length; row++)
            tensor.Floats.Slice(rows[row] * whole, used).CopyTo(spare.Floats.Slice(row * whole, used));
        (tensor, spare) = (spare, tensor);
    }
}
