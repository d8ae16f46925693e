namespace Tessera.Models.Formats;

/// <summary>
/// A checkpoint some of whose tensors lie as numbers of few bits beside their scales, each seen as the one tensor that both stand for.
/// Everything else is as in the source.
/// </summary>
internal sealed class ScaledSource : TensorSource
{
    private readonly TensorSource _source;
    private readonly Dictionary<string, ScaledTensor> _scaled;

    /// <param name="source">Is disposed with this.</param>
    /// <param name="scaled">The tensors that are seen otherwise, under names of their own or of the source.</param>
    /// <param name="hidden">Tensors of the source that are not seen: scales, and what tells how activations were rounded.</param>
    public ScaledSource(TensorSource source, IReadOnlyList<ScaledTensor> scaled, IReadOnlySet<string> hidden) : base(source.Path)
    {
        _source = source;
        _scaled = scaled.ToDictionary(tensor => tensor.Stored.Name, StringComparer.Ordinal);
        Tensors = source.Tensors.Values.Where(tensor => !hidden.Contains(tensor.Name))
            .Select(tensor => _scaled.TryGetValue(tensor.Name, out var other) ? other.Stored : tensor)
            .ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public override void ReadBytes(string name, Span<byte> destination, long offset = 0)
    {
        if (!_scaled.TryGetValue(name, out var tensor))
        {
            _source.ReadBytes(name, destination, offset);
            return;
        }

        var (_, bytes) = tensor.Stored.RequireBlock(Path);
        if (offset < 0 || offset > tensor.Stored.ByteCount - destination.Length || offset % bytes != 0 || destination.Length % bytes != 0)
            throw new ArgumentException(
                $"{destination.Length} bytes from {offset} on are not whole blocks of {bytes} within the {tensor.Stored.ByteCount} bytes "
                + $"of tensor {tensor.Stored}",
                nameof(destination));
        tensor.ReadBytes(destination, offset);
    }

    /// <inheritdoc/>
    public override void ReadFloats(string name, Span<float> destination, long offset = 0)
    {
        if (!_scaled.TryGetValue(name, out var tensor))
        {
            _source.ReadFloats(name, destination, offset);
            return;
        }

        var (elements, _) = tensor.Stored.RequireBlock(Path);
        var count = tensor.Stored.Count;
        if (offset < 0 || offset > count - destination.Length || offset % elements != 0 || destination.Length % elements != 0)
            throw new ArgumentException(
                $"{destination.Length} elements from {offset} on are not whole blocks of {elements} within the {count} of tensor "
                + $"{tensor.Stored}",
                nameof(destination));
        tensor.ReadFloats(destination, offset);
    }

    /// <inheritdoc/>
    public override bool CanView(string name) => !_scaled.ContainsKey(name) && _source.CanView(name);

    /// <inheritdoc/>
    public override Tessera.Tensors.Tensor View(string name) => _scaled.TryGetValue(name, out var tensor)
        ? throw new NotSupportedException($"{Path}: tensor {tensor.Stored} cannot be used where it lies in the file")
        : _source.View(name);

    /// <inheritdoc/>
    public override void Dispose() => _source.Dispose();

    private protected override (StoredFile File, long Position) Place(string name) =>
        throw new NotSupportedException($"{Path}: tensors are read by their names");
}

/// <summary>What numbers and their scales stand for.</summary>
/// <param name="stored">As it is seen: with the type that inference keeps it in.</param>
internal abstract class ScaledTensor(StoredTensor stored)
{
    /// <summary>Its name, shape and type.</summary>
    public StoredTensor Stored => stored;

    /// <summary>Copies elements in the type that it is seen with; whole blocks within it.</summary>
    public abstract void ReadBytes(Span<byte> destination, long offset);

    /// <summary>Copies elements, exactly up to rounding to F32; whole blocks within it.</summary>
    public abstract void ReadFloats(Span<float> destination, long offset);
}
