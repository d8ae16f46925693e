using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>Runs operations as training and inference do: in an arena scope, with or without a tape.</summary>
public abstract class KernelBenchmark
{
    private Tensor? _upstream;

    /// <summary>An operation alone.</summary>
    private protected static void Forward(Func<Tensor> operation, Precision precision = Precision.F32)
    {
        using var scope = Arena.Current.Scope();
        using var numbers = Autocast.Enter(precision);
        operation();
    }

    /// <summary>An operation and its gradients, which replace those of the call before.</summary>
    private protected void ForwardAndBackward(Func<Tensor> operation, ReadOnlySpan<Tensor> inputs, Precision precision = Precision.F32)
    {
        foreach (var input in inputs) input.ClearGradient();
        using var scope = Arena.Current.Scope();
        using var numbers = Autocast.Enter(precision);
        using var tape = Tape.Record();
        var y = operation();
        if (_upstream is null || _upstream.Shape != y.Shape)
        {
            _upstream = Tensor.Allocate(y.Shape);
            _upstream.Floats.Fill(1);
        }

        tape.Backward(y, _upstream.Floats);
    }
}
