using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    private const int MaxScalars = 64;

    /// <summary>
    /// Computes <c>y = segment(x)</c> and keeps only x: the segment's intermediate results are given back at once and
    /// computed again on the way back, to the same bits and in the same <see cref="Precision"/> (Chen et al. 2016, arXiv 1604.06174).
    /// Half the memory of a deep stack's activations or less, for one more forward pass of the segment.
    /// </summary>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">Must give the same result when it is run again: random numbers come from
    /// <see cref="CounterRandom"/>, and nothing it changes may change its result.</param>
    /// <param name="scalars">Where the segment puts further results, at most 64, each one number, such as losses; each run begins
    /// with an empty list. Afterwards it holds what takes their place outside of the segment. None where null.</param>
    public static Tensor Checkpoint(Tensor x, Func<Tensor, Tensor> segment, List<Tensor>? scalars = null)
    {
        if (!Tape.IsRecording) return segment(x);
        Shape shape;
        Span<float> kept;
        bool wanted;
        Span<float> values = stackalloc float[MaxScalars];
        scalars?.Clear();
        using (Arena.Current.Scope())
        using (Tape.Record()) // and forgets it: what is recorded may be computed another way than what is not, as in fewer bits
        {
            var y = segment(x);
            (shape, wanted) = (y.Shape, y.RequiresGradient);
            kept = y.Floats;
            ShapeException.Require((scalars?.Count ?? 0) <= MaxScalars, "checkpoint", "y", y, $"at most {MaxScalars} scalars beside it");
            for (var index = 0; index < (scalars?.Count ?? 0); index++)
            {
                values[index] = scalars![index].Item();
                wanted |= scalars[index].RequiresGradient;
            }
        }

        // The result moves down to where the segment's memory began; only it and the scalars survive.
        var result = Tensor.Temporary(shape);
        kept.CopyTo(result.Floats);
        for (var index = 0; index < (scalars?.Count ?? 0); index++) scalars![index] = Tensor.From(values.Slice(index, 1), []);
        if (wanted) Tape.WriteAlways<CheckpointEntry>(result).Set(x, segment, scalars);
        return result;
    }

    private sealed class CheckpointEntry : TapeEntry
    {
        private readonly List<Tensor> _outer = [];
        private Tensor _x = null!;
        private Func<Tensor, Tensor> _segment = null!;
        private List<Tensor>? _inner;
        private Precision _precision;

        public void Set(Tensor x, Func<Tensor, Tensor> segment, List<Tensor>? scalars)
        {
            (_x, _segment, _inner, _precision) = (x, segment, scalars, Autocast.Current);
            _outer.Clear();
            for (var index = 0; index < (scalars?.Count ?? 0); index++) _outer.Add(scalars![index].WithGradient());
        }

        public override bool HasGradient
        {
            get
            {
                var has = base.HasGradient;
                foreach (var scalar in _outer) has |= scalar.Slot is { HasValue: true };
                return has;
            }
        }

        public override void Backward()
        {
            var dx = _x.Slot is { } slot ? slot.Add() : default;
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            using var precision = Autocast.Enter(_precision);
            var again = _x.View(_x.Shape, 0);
            if (_x.RequiresGradient) again.WithGradient();
            _inner?.Clear();
            var y = _segment(again);
            for (var index = 0; index < _outer.Count; index++)
                if (_outer[index].Slot is { HasValue: true } outer) _inner![index].Slot?.Add(outer.Values);
            if (base.HasGradient) y.Slot?.Add(OutputGradient);
            tape.Backward();
            if (again.Gradient is { Length: > 0 } gradient) TensorPrimitives.Add(dx, gradient, dx);
        }

        public override void ReturnGradients()
        {
            base.ReturnGradients();
            foreach (var scalar in _outer) scalar.Slot?.Return();
        }
    }
}
