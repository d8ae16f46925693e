namespace Tessera.Tensors.Kernels;

/// <summary>
/// What is packed of a parameter: once in each order that its products need, in the first product of an
/// <see cref="Autocast"/> scope, for all others of that scope. The memory is kept from scope to scope and freed with the
/// parameter.
/// </summary>
internal sealed unsafe class PackedParameter
{
    private readonly Lock _lock = new();
    private Copy _forward, _backward;

    /// <summary>The parameter packed as the matrix b of a product, in the calling thread's scope; none outside any scope, for
    /// a tensor that is no parameter, and while another thread's scope uses the copy: b is then packed by each product.</summary>
    /// <param name="weight">[n, k], or as many such matrices as the first of three axes says.</param>
    /// <param name="transposed">Whether b is k × n, as in <c>x Wᵀ</c>, rather than n × k, as in <c>dy W</c>.</param>
    /// <param name="kind">For which tile.</param>
    public static PackedMatrix Of(Tensor weight, bool transposed, MatrixProductKind kind)
    {
        if (kind == MatrixProductKind.F32 || Autocast.Pass == 0 || !weight.IsParameter) return default;
        if (weight.Packed is not { } packed)
        {
            Interlocked.CompareExchange(ref weight.Packed, new PackedParameter(), null);
            packed = weight.Packed;
        }

        lock (packed._lock) return Copied(ref transposed ? ref packed._forward : ref packed._backward, weight, transposed, kind);
    }

    private static PackedMatrix Copied(ref Copy copy, Tensor weight, bool transposed, MatrixProductKind kind)
    {
        if (copy.Pass != Autocast.Pass && Autocast.IsOpen(copy.Pass)) return default;
        if (copy.Pass != Autocast.Pass || copy.Kind != kind)
        {
            var shape = weight.Shape;
            var (count, rows, columns) = (shape.Rank == 3 ? shape[0] : 1, shape[shape.Rank - 2], shape.Width);
            var (k, n) = transposed ? (columns, rows) : (rows, columns);
            var bytes = checked(count * PackedMatrix.Bytes(kind, k, n));
            copy.Pass = 0; // it holds nothing until it is packed
            var address = NativeBuffer.AtLeast(ref copy.Buffer, bytes);
            PackedMatrix.Pack(weight.Floats, count, k, n, transposed, kind, (byte*)address);
            (copy.Pass, copy.Kind) = (Autocast.Pass, kind);
        }

        return new PackedMatrix((byte*)copy.Buffer!.Address);
    }

    private struct Copy
    {
        public NativeBuffer? Buffer;
        public MatrixProductKind Kind;

        /// <summary>The scope that it was packed in.</summary>
        public long Pass;
    }
}
