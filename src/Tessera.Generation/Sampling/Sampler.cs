using System.Numerics.Tensors;
using Tessera.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>Chooses a token from logits.</summary>
internal sealed class Sampler
{
    private readonly DecodingOptions _options;
    private readonly Repetition? _repetition;
    private readonly float[] _probabilities;
    private readonly int[] _order;
    private readonly Comparison<int> _likeliestFirst;

    public Sampler(DecodingOptions options, int vocabulary)
    {
        (_options, _probabilities, _order) = (options, new float[vocabulary], new int[vocabulary]);
        _likeliestFirst = LikeliestFirst; // once: a delegate is garbage
        _repetition = Repetition.IsIn(options) ? new Repetition(options, vocabulary) : null;
    }

    /// <summary>The chosen token and its log-probability under the model itself, in nats.</summary>
    /// <param name="logits">One a token.</param>
    /// <param name="sequence">Which prompt: each has random numbers of its own.</param>
    /// <param name="place">Which token of the sequence.</param>
    /// <param name="before">What the decoder has read, the prompt included; looked at where repetition is held back.</param>
    public (int Token, double LogProbability) Choose(ReadOnlySpan<float> logits, int sequence, int place, ReadOnlySpan<int> before = default)
    {
        var allowed = _repetition is null ? logits : _repetition.Apply(logits, before);
        var token = _options is SamplingOptions sampling ? Sample(allowed, sampling, sequence, place) : TensorPrimitives.IndexOfMax(allowed);
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
        var (probabilities, order) = (_probabilities, _order);
        order.AsSpan().Sort(_likeliestFirst);
        var max = sampling.TopK == 0 ? order.Length : Math.Min(sampling.TopK, order.Length);
        var total = 0.0;
        for (var i = 0; i < max; i++) total += probabilities[order[i]];

        // The nucleus is the shortest start of the list that holds its share of what top-k has left.
        var (kept, sum) = (0, 0.0);
        while (kept < max && (kept == 0 || sum < sampling.TopP * total)) sum += probabilities[order[kept++]];
        var target = draw * sum;
        for (var i = 0; i < kept; i++)
            if ((target -= probabilities[order[i]]) < 0) return order[i];
        return order[kept - 1];
    }

    /// <summary>A fixed order of equals keeps the draw the same on every machine.</summary>
    private int LikeliestFirst(int left, int right)
    {
        var order = _probabilities[right].CompareTo(_probabilities[left]);
        return order != 0 ? order : left.CompareTo(right);
    }

    private static int Pick(double draw, float[] probabilities)
    {
        var target = draw * TensorPrimitives.Sum<float>(probabilities);
        for (var i = 0; i < probabilities.Length; i++)
            if ((target -= probabilities[i]) < 0) return i;
        return TensorPrimitives.IndexOfMax<float>(probabilities);
    }
}
