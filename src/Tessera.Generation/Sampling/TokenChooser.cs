using System.Numerics.Tensors;
using Tessera.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>Chooses a token from logits.</summary>
internal sealed class TokenChooser(DecodingOptions options, int vocabulary)
{
    private readonly float[] _probabilities = new float[vocabulary];
    private readonly int[] _order = new int[vocabulary];

    /// <summary>The chosen token and its log-probability under the model itself, in nats.</summary>
    /// <param name="logits">One a token.</param>
    /// <param name="sequence">Which prompt: each has random numbers of its own.</param>
    /// <param name="place">Which token of the sequence.</param>
    public (int Token, double LogProbability) Choose(ReadOnlySpan<float> logits, int sequence, int place)
    {
        var token = options is SamplingOptions sampling ? Sample(logits, sampling, sequence, place) : TensorPrimitives.IndexOfMax(logits);
        return (token, logits[token] - LogSumExp(logits));
    }

    /// <summary>log Σ eˣ, without overflow.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        var greatest = TensorPrimitives.Max(logits);
        var sum = 0.0;
        foreach (var logit in logits) sum += MathF.Exp(logit - greatest);
        return greatest + Math.Log(sum);
    }

    private int Sample(ReadOnlySpan<float> logits, SamplingOptions sampling, int sequence, int place)
    {
        // The greatest becomes 0, so that no temperature, however small, makes it infinite.
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max(logits), _probabilities);
        TensorPrimitives.Divide(_probabilities, sampling.Temperature, _probabilities);
        TensorPrimitives.SoftMax(_probabilities, _probabilities);
        var draw = new CounterRandom(sampling.Seed).Derive((ulong)sequence).Uniform((ulong)place);
        if (sampling is { TopK: 0, TopP: 1 }) return Pick(draw, _probabilities);

        for (var i = 0; i < _order.Length; i++) _order[i] = i;
        // Likeliest first; the stable order of equals keeps the draw the same on every machine.
        var (probabilities, order) = (_probabilities, _order);
        Array.Sort(order, (left, right) => probabilities[left] != probabilities[right] ? probabilities[right].CompareTo(probabilities[left]) : left.CompareTo(right));
        var most = sampling.TopK == 0 ? order.Length : Math.Min(sampling.TopK, order.Length);
        var total = 0.0;
        for (var i = 0; i < most; i++) total += probabilities[order[i]];

        // The nucleus is the shortest start of the list that holds its share of what top-k has left.
        var (kept, sum) = (0, 0.0);
        while (kept < most && (kept == 0 || sum < sampling.TopP * total)) sum += probabilities[order[kept++]];
        var target = draw * sum;
        for (var i = 0; i < kept; i++)
            if ((target -= probabilities[order[i]]) < 0) return order[i];
        return order[kept - 1];
    }

    private static int Pick(double draw, float[] probabilities)
    {
        var target = draw * TensorPrimitives.Sum<float>(probabilities);
        for (var i = 0; i < probabilities.Length; i++)
            if ((target -= probabilities[i]) < 0) return i;
        return TensorPrimitives.IndexOfMax<float>(probabilities);
    }
}
