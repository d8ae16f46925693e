namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// Computes <c>y = segment(x)</c> and keeps only x: the segment's intermediate results are given back at once and
    /// computed again on the way back (Chen et al. 2016, arXiv 1604.06174). Half the memory of a deep stack's activations
    /// or less, for one more forward pass of the segment.
    /// </summary>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">Must give the same result when it is run again: random numbers come from
    /// <see cref="CounterRandom"/>, and nothing it changes may change its result.</param>
    public static Tensor Checkpoint(Tensor x, Func<Tensor, Tensor> segment)
    {
        if (!Tape.IsRecording) return segment(x);
        Shape shape;
        Tensor y;
        var scope = Arena.Current.Scope();
        var inner = Tape.Pause();
        try
        {
            y = segment(x);
            shape = y.Shape;
        }
        finally
        {
            inner.Dispose();
        }

        // The result moves down to where the segment's memory began; only it survives.
        var kept = y.Floats;
        scope.Dispose();
        var result = Tensor.Temporary(shape);
        kept.CopyTo(result.Floats);
        var entry = Tape.WriteAlways<CheckpointEntry>(result);
        (entry.X, entry.Segment) = (x, segment);
        return result;
    }

    private sealed class CheckpointEntry : TapeEntry
    {
        public Tensor X = null!;
        public Func<Tensor, Tensor> Segment = null!;

        public override void Backward()
        {
            var dx = X.Slot is { } slot ? slot.Add() : default;
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var again = X.View(X.Shape, 0);
            if (X.RequiresGradient) again.WithGradient();
            tape.Backward(Segment(again), OutputGradient);
            for (var i = 0; i < dx.Length; i++) dx[i] += again.Gradient[i];
        }
    }
}
