using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// Computes <c>y = segment(x)</c> and keeps only x: the segment's intermediate results are given back at once and
    /// computed again on the way back, to the same bits and in the same <see cref="Precision"/> (Chen et al. 2016, arXiv 1604.06174). Half the memory of a deep stack's activations
    /// or less, for one more forward pass of the segment.
    /// </summary>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">Must give the same result when it is run again: random numbers come from
    /// <see cref="CounterRandom"/>, and nothing it changes may change its result.</param>
    public static Tensor Checkpoint(Tensor x, Func<Tensor, Tensor> segment)
    {
        if (!Tape.IsRecording) return segment(x);
        Shape shape;
        Span<float> kept;
        var wanted = x.RequiresGradient;
        using (Arena.Current.Scope())
        using (Tape.Record()) // and forgets it: what is recorded may be computed another way than what is not, as in fewer bits
        {
            var y = segment(x);
            shape = y.Shape;
            kept = y.Floats;
            wanted |= y.RequiresGradient;
        }

        // The result moves down to where the segment's memory began; only it survives.
        var result = Tensor.Temporary(shape);
        kept.CopyTo(result.Floats);
        if (!wanted) return result;
        var entry = Tape.WriteAlways<CheckpointEntry>(result);
        (entry.X, entry.Segment, entry.Precision) = (x, segment, Autocast.Current);
        return result;
    }

    private sealed class CheckpointEntry : TapeEntry
    {
        public Tensor X = null!;
        public Func<Tensor, Tensor> Segment = null!;
        public Precision Precision;

        public override void Backward()
        {
            var dx = X.Slot is { } slot ? slot.Add() : default;
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            using var precision = Autocast.Enter(Precision);
            var again = X.View(X.Shape, 0);
            if (X.RequiresGradient) again.WithGradient();
            tape.Backward(Segment(again), OutputGradient);
            if (again.Gradient is { Length: > 0 } gradient) TensorPrimitives.Add(dx, gradient, dx);
        }
    }
}
