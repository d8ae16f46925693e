using System.Numerics.Tensors;
using Tessera.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>
/// A random token of the distribution <c>softmax(logits / temperature)</c>, cut to the k likeliest (Fan, Lewis, Dauphin 2018,
/// <see href="https://arxiv.org/abs/1805.04833"/>) and of these to the nucleus that holds the share p of their probability (Holtzman et
/// al. 2019, <see href="https://arxiv.org/abs/1904.09751"/>). The random number is a function of seed, sequence and position alone.
/// </summary>
public sealed class MultinomialSampler : Sampler
{
    private readonly SamplingOptions _options;
    private readonly Comparison<int> _likeliestFirst;
    private float[] _probabilities = [];
    private int[] _order = [];

    /// <summary>A sampler.</summary>
    /// <param name="options">Temperature, k, p and seed; their penalties are not looked at, <see cref="Sampler.Processors"/> are.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public MultinomialSampler(SamplingOptions options)
    {
        options.Validate();
        (_options, _likeliestFirst) = (options, LikeliestFirst); // the delegate is made once, or it would be garbage
    }

    /// <inheritdoc/>
    protected override int Pick(ReadOnlySpan<float> logits, TokenHistory history)
    {
        if (_probabilities.Length != logits.Length) (_probabilities, _order) = (new float[logits.Length], new int[logits.Length]);
        // The greatest becomes 0, so that no temperature, however small, makes it infinite.
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max(logits), _probabilities);
        TensorPrimitives.Divide(_probabilities, _options.Temperature, _probabilities);
        TensorPrimitives.SoftMax(_probabilities, _probabilities);
        var draw = new CounterRandom(_options.Seed).Derive((ulong)history.Sequence).Uniform((ulong)history.Position);
        return _options is { TopK: 0, TopP: 1 } ? PickOfAll(draw) : PickOfLikeliest(draw);
    }

    private int PickOfAll(double draw)
    {
        var target = draw * TensorPrimitives.Sum<float>(_probabilities);
        for (var i = 0; i < _probabilities.Length; i++)
            if ((target -= _probabilities[i]) < 0) return i;
        return TensorPrimitives.IndexOfMax<float>(_probabilities);
    }

    private int PickOfLikeliest(double draw)
    {
        var max = _options.TopK == 0 ? _order.Length : Math.Min(_options.TopK, _order.Length);
        OrderLikeliest(max);
        var total = 0.0;
        for (var i = 0; i < max; i++) total += _probabilities[_order[i]];

        // The nucleus is the shortest start of the list that holds its share of what top-k has left.
        var (kept, sum) = (0, 0.0);
        while (kept < max && (kept == 0 || sum < _options.TopP * total)) sum += _probabilities[_order[kept++]];
        while (_probabilities[_order[kept - 1]] == 0) kept--; // rounding must not reach what cannot come
        var target = draw * sum;
        for (var i = 0; i < kept; i++)
            if ((target -= _probabilities[_order[i]]) < 0) return _order[i];
        return _order[kept - 1];
    }

    /// <summary>Puts the likeliest tokens first in the order, the likeliest of them at the beginning.</summary>
    private void OrderLikeliest(int count)
    {
        const int MuchMore = 256;
        if (count > _order.Length / MuchMore)
        {
            for (var i = 0; i < _order.Length; i++) _order[i] = i;
            _order.AsSpan().Sort(_likeliestFirst);
            return;
        }

        // Few of many: most tokens are compared with the last of the list alone.
        var found = 0;
        for (var token = 0; token < _order.Length; token++)
        {
            if (found == count && !(_probabilities[token] > _probabilities[_order[found - 1]])) continue;
            var place = found < count ? found++ : found - 1;
            for (; place > 0 && _probabilities[token] > _probabilities[_order[place - 1]]; place--) _order[place] = _order[place - 1];
            _order[place] = token;
        }
    }

    /// <summary>A fixed order of equals keeps the draw the same on every machine.</summary>
    private int LikeliestFirst(int left, int right)
    {
        var order = _probabilities[right].CompareTo(_probabilities[left]);
        return order != 0 ? order : left.CompareTo(right);
    }
}
