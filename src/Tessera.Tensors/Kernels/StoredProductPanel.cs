namespace Tessera.Tensors.Kernels;

/// <summary>Some rows of a stored weight as F32, for products of many rows: expanding them costs as much as using them once.</summary>
internal readonly unsafe ref struct StoredProductPanel
{
    /// <summary>Elements of a panel: what a shared cache holds.</summary>
    private const int Elements = 1 << 20;

    private readonly nint _memory;
    private readonly int _columns;

    /// <summary>Takes memory of the current arena.</summary>
    public StoredProductPanel(StoredMatrix w)
    {
        _columns = w.Columns;
        Max = Math.Clamp(Elements / Math.Max(1, w.Columns), 1, Math.Max(1, w.Rows));
        if (Max > 64) Max = Max / 64 * 64;
        _memory = Arena.Current.Take(Bytes);
    }

    /// <summary>Rows of a full panel.</summary>
    public int Max { get; }

    public ReadOnlySpan<float> Values => new((void*)_memory, Max * _columns);

    private long Bytes => (long)Max * _columns * sizeof(float);

    /// <summary>Expands the rows from <paramref name="start"/> on, as many as there are up to <see cref="Max"/>.</summary>
    public int Load(StoredMatrix w, int start)
    {
        var rows = Math.Min(Max, w.Rows - start);
        var part = w.Part(start, rows);
        var values = new Span<byte>((void*)_memory, checked(rows * _columns * sizeof(float)));
        QuantizedConversion.Convert(w.Type, part.Data, ElementType.F32, values, rows, _columns);
        return rows;
    }

    /// <summary>Gives the memory back.</summary>
    public void Return() => Arena.Current.Return(_memory, Bytes);
}
