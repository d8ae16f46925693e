using System.Numerics.Tensors;

namespace Tessera.Tensors;

/// <summary>See <see cref="ScoreBias.Linear"/>.</summary>
internal sealed class LinearBias : DistanceBias
{
    private static readonly float[] s_ramp = [.. Enumerable.Range(0, MaxStrip).Select(n => (float)n)];

    private Tensor _slopes = null!;

    public static LinearBias Of(Tensor slopes)
    {
        ShapeException.Require(slopes.Type == ElementType.F32 && slopes.Shape.Rank == 1, "linear bias", "slopes", slopes, "F32 [heads]");
        var bias = Arena.Current.Lend(static () => new LinearBias());
        bias._slopes = slopes;
        return bias;
    }

    public override int Heads => Live(_slopes).Shape[0];

    public override int LearnedOfHead => 1;

    internal override (Tensor First, Tensor? Second) Inputs => (Live(_slopes), null);

    public override void Fill(int head, int first, Span<float> strip)
    {
        TensorPrimitives.Add(s_ramp.AsSpan(0, strip.Length), first, strip);
        TensorPrimitives.Abs(strip, strip);
        TensorPrimitives.Multiply(strip, -Quiet(_slopes.Floats[head]), strip);
    }

    public override void Collect(int first, ReadOnlySpan<float> strip, Span<double> sums)
    {
        var sum = 0.0;
        for (var n = 0; n < strip.Length; n++) sum += (double)strip[n] * Math.Abs(first + n);
        sums[0] -= sum;
    }

    public override void AddGradient(ReadOnlySpan<double> sums)
    {
        var gradient = _slopes.Slot!.Add();
        for (var head = 0; head < gradient.Length; head++) gradient[head] += (float)sums[head];
    }

    protected override void Forget() => _slopes = null!;
}
