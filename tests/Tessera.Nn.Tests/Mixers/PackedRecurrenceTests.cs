using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

/// <summary>A recurrence reads each packed segment from its beginning.</summary>
public sealed class PackedRecurrenceTests
{
    private const int Width = 5;
    private static readonly int[] s_segments = [0, 0, 0, 1, 2, 2, -1, 3, 3, 3, 3, 5, 5, -1];
    private static readonly (int First, int Count)[] s_runs = [(0, 3), (3, 1), (4, 2), (7, 4), (11, 2)];

    [Theory]
    [InlineData(true, MixerRole.Causal)]
    [InlineData(true, MixerRole.Bidirectional)]
    [InlineData(false, MixerRole.Causal)]
    [InlineData(false, MixerRole.Bidirectional)]
    public void Packed_segments_have_the_outputs_and_gradients_of_sequences_alone(bool lstm, MixerRole role)
    {
        MixerOptions options = lstm ? new LstmMixerOptions(4) : new GruMixerOptions(4);
        var mixer = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), role));
        var (values, upstream) = (PartCheck.Normal(14 * Width, 1), PartCheck.Normal(14 * Width, 2));
        for (var i = 0; i < upstream.Length; i++)
            if (s_segments[i / Width] < 0) upstream[i] = 0; // no loss looks at padding

        var packed = PartCheck.Step(2, 7);
        var (outputs, gradient, weights) = Run(values, upstream, [2, 7, Width], packed, PartCheck.Ints([2, 7], s_segments));
        var summed = new double[weights.Length];
        foreach (var (first, count) in s_runs)
        {
            var range = (first * Width)..((first + count) * Width);
            var (expected, slope, share) = Run(values[range], upstream[range], [1, count, Width], PartCheck.Step(1, count), null);
            PartCheck.Compare($"outputs from {first}", expected, outputs[range], 1e-6);
            PartCheck.Compare($"gradient from {first}", slope, gradient[range], 1e-6);
            for (var i = 0; i < summed.Length; i++) summed[i] += share[i];
        }

        PartCheck.Compare("gradient of the weights", [.. summed.Select(value => (float)value)], weights, 1e-5);

        (float[] Outputs, float[] Gradient, float[] Weights) Run(
            float[] x, float[] dy, Shape shape, ForwardContext context, Tensor? segments)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            context.Segments = segments;
            var parameters = mixer.Parameters();
            foreach (var (_, parameter) in parameters) parameter.Value.ClearGradient();
            var input = Tensor.From(x, shape).WithGradient();
            var y = mixer.Forward(input, context);
            tape.Backward(y, dy);
            return (y.ToArray(), input.Gradient.ToArray(), [.. parameters.SelectMany(own => own.Parameter.Value.Gradient.ToArray())]);
        }
    }
}
