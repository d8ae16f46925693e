using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Tessera.Tensors;

/// <summary>An object that an <see cref="Arena"/> lends for a scope and lends again later. Between the two nobody may use it:
/// what <see cref="Live"/> guards throws <see cref="ObjectDisposedException"/> then, as a temporary <see cref="Tensor"/> does.</summary>
public abstract class Recycled
{
    private bool _ended;

    /// <summary>Forgets everything: the scope has ended.</summary>
    protected abstract void Forget();

    /// <summary>A value that is read or written, as long as the object's scope lasts.</summary>
    /// <exception cref="ObjectDisposedException">The scope has ended.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected T Live<T>(T value)
    {
        if (_ended) ThrowEnded();
        return value;
    }

    internal void Begin() => _ended = false;

    internal void End()
    {
        Forget();
        _ended = true;
    }

    [DoesNotReturn]
    private void ThrowEnded() =>
        throw new ObjectDisposedException(GetType().Name, $"the arena scope in which this {GetType().Name} was made has ended");
}
