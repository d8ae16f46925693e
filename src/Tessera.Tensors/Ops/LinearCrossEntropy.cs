using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>The rows of logits that are held at once.</summary>
    private const int LogitRowsAtOnce = 256;

    /// <summary>What the gradient of logits is multiplied by while it is a factor of products: their loss scale cannot reach it,
    /// since it is computed before the backward pass, and F16 holds nothing below 6e-8. A power of two, so that no other
    /// rounding changes; divided out with the number of targets.</summary>
    private const float LogitGradientScale = 1024;

    /// <summary>
    /// <see cref="CrossEntropy"/> of <c>logits = x Wᵀ + b</c>, or of <c>cap · tanh(logits / cap)</c>, without ever holding the logits of
    /// more than a few rows: the gradients of x, W and b are computed while the logits of those rows are at hand.
    /// </summary>
    /// <param name="x">[…, width].</param>
    /// <param name="weight">[classes, width], of any type but I32; only an F32 weight can have a gradient.</param>
    /// <param name="targets">I32 of as many elements as x has rows: from 0 to classes − 1, or negative.</param>
    /// <param name="settings">Smoothing and z loss.</param>
    /// <param name="bias">[classes], or none.</param>
    /// <param name="softCap">The cap; 0 for none.</param>
    /// <returns>A scalar: the mean over the rows that count, 0 where none does.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The smoothing is not in [0, 1), or the cap is negative or not finite.</exception>
    public static Tensor LinearCrossEntropy(
        Tensor x, Tensor weight, Tensor targets, CrossEntropySettings settings = default, Tensor? bias = null, float softCap = 0)
    {
        ShapeException.Require(
            weight.Shape.Rank == 2 && weight.Shape[1] == x.Shape.Width, "linear cross entropy", "weight", weight, "x", x);
        if (bias is not null)
            ShapeException.Require(bias.Shape == [weight.Shape[0]], "linear cross entropy", "bias", bias, "weight", weight);
        if (softCap is not (>= 0 and < float.PositiveInfinity))
            throw new ArgumentOutOfRangeException(nameof(softCap), softCap, "the soft cap must be 0 (none) or above");
        settings.Check();
        var (rows, width, classes) = (x.Shape.Rows, x.Shape.Width, weight.Shape[0]);
        var counted = CountTargets("linear cross entropy", targets, rows, classes);
        var losses = Tensor.Temporary([rows]);
        var y = Tensor.Temporary([]);
        var entry = Tape.Write<LinearCrossEntropyEntry>(y, x, weight, bias);
        entry?.Begin(x, weight, bias, 1 / (LogitGradientScale * Math.Max(1, counted)));
        var head = new LogitProduct(weight, bias, rows, entry);
        using (Arena.Current.Scope())
        {
            var all = x.Reshape([rows, width]);
            var logits = Tensor.Temporary([Math.Min(LogitRowsAtOnce, rows), classes]);
            var slopes = softCap == 0 ? logits : Tensor.Temporary(logits.Shape);
            for (var start = 0; start < rows; start += LogitRowsAtOnce)
            {
                var count = Math.Min(LogitRowsAtOnce, rows - start);
                var part = all.Slice(start, count);
                var scores = logits.Floats[..(count * classes)];
                var gradient = slopes.Floats[..scores.Length];
                head.Forward(part, scores);
                if (softCap > 0) Cap(scores, gradient, softCap);
                CrossEntropyKernels.Rows(
                    gradient, targets.Ints.Slice(start, count), losses.Floats.Slice(start, count), settings,
                    entry is null ? 0 : LogitGradientScale);
                if (entry is null) continue;
                if (softCap > 0) ActivationKernels.Backward(Activation.Tanh, scores, default, gradient, gradient, accumulate: false);
                head.Backward(part, new Matrix(gradient, count, classes), start);
            }
        }

        y.Floats[0] = MeanValue(losses, counted);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        GC.KeepAlive(bias);
        GC.KeepAlive(targets);
        return y;
    }

    /// <summary>Divides scores by the cap, and writes <c>cap · tanh</c> of them: the derivative by the scores is that of tanh
    /// alone.</summary>
    private static void Cap(Span<float> scores, Span<float> capped, float cap)
    {
        SumKernel.Scale(scores, 1 / cap, scores);
        ActivationKernels.Forward(Activation.Tanh, scores, default, capped);
        SumKernel.Scale(capped, cap, capped);
    }

    /// <summary>The products of some rows with the weight, forward and backward.</summary>
    private readonly ref struct LogitProduct
    {
        private readonly Tensor _weight;
        private readonly Tensor? _bias;
        private readonly LinearCrossEntropyEntry? _entry;
        private readonly MatrixProductKind _kind;
        private readonly PackedMatrix _forward, _backward;

        public LogitProduct(Tensor weight, Tensor? bias, int rows, LinearCrossEntropyEntry? entry)
        {
            (_weight, _bias, _entry) = (weight, bias, entry);
            var isReady = weight.Type == ElementType.BF16 || (entry is not null && weight.IsParameter);
            _kind = MatrixProductKinds.Choose(rows, weight.Shape[0], weight.Shape[1], isReady);
            if (entry is null || !IsF32) return;
            _forward = PackedParameter.Of(weight, transposed: true, _kind);
            if (entry.GradientX is not null) _backward = PackedParameter.Of(weight, transposed: false, _kind);
        }

        private bool IsF32 => _weight.Type == ElementType.F32;

        public void Forward(Tensor x, Span<float> logits)
        {
            var bias = _bias is null ? default : _bias.Floats;
            if (IsF32)
            {
                MatrixProduct.Multiply(
                    x.AsMatrix(), _weight.AsMatrix().T, logits, accumulate: false, bias: bias, kind: _kind, packed: _forward);
                return;
            }

            using var activations = Activations.Of(x);
            StoredProduct.Multiply(activations, _weight.AsStoredMatrix("linear cross entropy"), logits, bias, _kind);
        }

        /// <summary>Adds to the gradients of weight and bias, and writes that of x from row <paramref name="start"/> on.</summary>
        public void Backward(Tensor x, Matrix slopes, int start)
        {
            if (_entry!.GradientX is { } all)
            {
                var dx = all.Floats.Slice(start * x.Shape.Width, slopes.Rows * x.Shape.Width);
                if (IsF32)
                    MatrixProduct.Multiply(slopes, _weight.AsMatrix(), dx, accumulate: false, kind: _kind, packed: _backward);
                else
                    StoredProduct.MultiplyBack(slopes, _weight.AsStoredMatrix("linear cross entropy"), dx, accumulate: false, _kind);
            }

            if (_entry.GradientWeight is { } dWeight)
                MatrixProduct.Multiply(slopes.T, x.AsMatrix(), dWeight.Floats, accumulate: start > 0, kind: _kind);
            if (_entry.GradientBias is { } dBias) RowKernels.SumRows(slopes.Data, dBias.Floats);
        }
    }

    private sealed class LinearCrossEntropyEntry : TapeEntry
    {
        private Tensor _x = null!, _weight = null!;
        private Tensor? _bias;
        private float _scale;

        public Tensor? GradientX { get; private set; }

        public Tensor? GradientWeight { get; private set; }

        public Tensor? GradientBias { get; private set; }

        /// <summary>Takes the memory of the gradients, each the factor of a gradient of the loss that is not known yet.</summary>
        public void Begin(Tensor x, Tensor weight, Tensor? bias, float scale)
        {
            (_x, _weight, _bias, _scale) = (x, weight, bias, scale);
            GradientX = x.RequiresGradient ? Tensor.Temporary(x.Shape) : null;
            GradientWeight = weight.RequiresGradient ? Tensor.Temporary(weight.Shape) : null;
            GradientBias = bias is { RequiresGradient: true } ? Tensor.Temporary(bias.Shape) : null;
            if (x.Shape.Rows == 0) GradientWeight?.Floats.Clear();
            GradientBias?.Floats.Clear();
        }

        public override void Backward()
        {
            if (GradientX is not null) AddScaled(_x, GradientX, OutputGradient[0] * _scale);
            if (GradientWeight is not null) AddScaled(_weight, GradientWeight, OutputGradient[0] * _scale);
            if (GradientBias is not null) AddScaled(_bias!, GradientBias, OutputGradient[0] * _scale);
        }
    }
}
