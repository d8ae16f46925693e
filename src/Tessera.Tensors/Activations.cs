using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// A tensor that several weights multiply, as queries, keys and values are made of one x: where the weights are stored in fewer bits, x is
/// rounded for the first that needs it, and the others use the same numbers.
/// <code>
/// using var shared = Activations.Of(x);
/// var (gate, up) = (Op.Linear(shared, w1), Op.Linear(shared, w3));
/// </code>
/// <para>It lives until the scope of the <see cref="Arena"/> it was made in ends, as x does. x must not change meanwhile.</para>
/// </summary>
public sealed class Activations : Recycled, IDisposable
{
    private Tensor _tensor = null!;
    private Arena _arena = null!;
    private int _depth;
    private QuantizedActivations _quantized;
    private Bf16Activations _rounded;
    private Block _quantizedMemory;
    private Block _roundedMemory;

    private Activations()
    {
    }

    /// <summary>x.</summary>
    public Tensor Tensor => Live(_tensor);

    /// <summary>The shape of x.</summary>
    public Shape Shape => Tensor.Shape;

    /// <summary>The activations of a tensor, which the arena lends for its current scope.</summary>
    /// <param name="x">F32 [..., width].</param>
    public static Activations Of(Tensor x)
    {
        var arena = Arena.Current;
        var activations = arena.Lend(static () => new Activations());
        (activations._tensor, activations._arena, activations._depth) = (x, arena, arena.Depth);
        return activations;
    }

    /// <summary>Gives back, before the scope ends, the memory of what x was rounded to; needed again, it is made again.</summary>
    public void Dispose()
    {
        if (_tensor is null) return; // the scope has ended, and the memory with it
        _quantizedMemory.Return();
        _roundedMemory.Return();
    }

    /// <summary>x in 8 bits with a scale for each 32 elements, for quantized weights.</summary>
    internal QuantizedActivations Quantized()
    {
        if (_quantizedMemory.IsTaken) return _quantized;
        var x = Tensor.AsMatrix();
        var bytes = QuantizedActivations.Bytes(x.Rows, x.Columns);
        return _quantized = QuantizedActivations.Of(x, _quantizedMemory.Take(_arena, _depth, bytes));
    }

    /// <summary>x in BF16, for few rows and weights in BF16.</summary>
    internal Bf16Activations RoundedToBf16()
    {
        if (_roundedMemory.IsTaken) return _rounded;
        var x = Tensor.AsMatrix();
        var bytes = Bf16Activations.Bytes(x.Rows, x.Columns);
        return _rounded = Bf16Activations.Of(x, _roundedMemory.Take(_arena, _depth, bytes));
    }

    /// <inheritdoc/>
    protected override void Forget() =>
        (_tensor, _arena, _quantized, _rounded, _quantizedMemory, _roundedMemory) = (null!, null!, default, default, default, default);

    /// <summary>A block that lives as long as the activations, also where a scope further in is the first to need it.</summary>
    private struct Block
    {
        private Arena? _source;
        private NativeBuffer? _own;
        private nint _address;
        private long _bytes;

        public readonly bool IsTaken => _address != 0;

        public nint Take(Arena arena, int depth, long bytes)
        {
            _bytes = bytes;
            if (depth > 0) return _address = (_source = arena.For(depth)).Take(bytes);
            _own = new NativeBuffer(bytes, zeroed: false); // what was made outside of any scope may be kept, and so may this
            return _address = _own.Address;
        }

        public void Return()
        {
            if (!IsTaken) return;
            _source?.Return(_address, _bytes);
            _own?.Dispose();
            this = default;
        }
    }
}
