using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>
/// The tokens that may still be drawn, with their logits, in a list that rules of sampling order and shorten. It works in memory of its
/// own, which it uses again.
/// </summary>
public sealed class Candidates
{
    /// <summary>So many of the likeliest are found by going through the list once; for more of them all are sorted.</summary>
    private const int Few = 64;

    private readonly int[] _places = new int[Few];
    private int[] _tokens = [], _spareTokens = [], _order = [];
    private float[] _logits = [], _spareLogits = [], _weights = [];
    private ulong[] _keys = [];
    private int _ordered;
    private bool _isWeighed;

    /// <summary>How many tokens are left; at least one.</summary>
    public int Count { get; private set; }

    /// <summary>How many tokens there are in all.</summary>
    public int Vocabulary { get; private set; }

    /// <summary>Their ids.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    /// <summary>Their logits, in the same order.</summary>
    public ReadOnlySpan<float> Logits => _logits.AsSpan(0, Count);

    /// <summary>exp(logit − greatest logit) of each, in the same order: probabilities but for a common factor, 1 /
    /// <see cref="Total"/>.</summary>
    public ReadOnlySpan<float> Weights
    {
        get
        {
            var weights = _weights.AsSpan(0, Count);
            if (_isWeighed) return weights;
            TensorPrimitives.Subtract(Logits, TensorPrimitives.Max(Logits), weights);
            TensorPrimitives.Exp(weights, weights);
            _isWeighed = true;
            return weights;
        }
    }

    /// <summary>The sum of <see cref="Weights"/>.</summary>
    public double Total
    {
        get
        {
            var total = 0.0;
            foreach (var weight in Weights) total += weight;
            return total;
        }
    }

    /// <summary>Begins anew with the tokens that may come, by their ids.</summary>
    /// <param name="logits">[vocabulary]; −∞ where a token may not come. At least one may.</param>
    /// <returns>A token whose logit is NaN, with which nothing can be done; null where there is none.</returns>
    internal int? Load(ReadOnlySpan<float> logits)
    {
        Reserve(logits.Length);
        (Vocabulary, Count) = (logits.Length, 0);
        for (var token = 0; token < logits.Length; token++)
        {
            if (logits[token] > float.NegativeInfinity) (_tokens[Count], _logits[Count++]) = (token, logits[token]);
            else if (float.IsNaN(logits[token])) return token;
        }

        Changed();
        return null;
    }

    /// <summary>Divides all logits by a number, after the greatest has become 0, so that none, however small, makes it infinite.</summary>
    /// <param name="divisor">Greater than 0.</param>
    public void Divide(float divisor)
    {
        var logits = _logits.AsSpan(0, Count);
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        TensorPrimitives.Divide(logits, divisor, logits);
        _isWeighed = false;
    }

    /// <summary>Takes the logits of a whole vocabulary over for the tokens that are left.</summary>
    /// <param name="logits">[vocabulary]; −∞ takes a token away.</param>
    /// <returns>Whether any is left; where not, nothing has changed.</returns>
    internal bool Update(ReadOnlySpan<float> logits)
    {
        var (kept, any) = (0, false);
        foreach (var token in Tokens) any |= logits[token] != float.NegativeInfinity;
        if (!any) return false;
        for (var place = 0; place < Count; place++)
        {
            var token = _tokens[place];
            if (logits[token] != float.NegativeInfinity) (_tokens[kept], _logits[kept++]) = (token, logits[token]);
        }

        Count = kept;
        Changed();
        return true;
    }

    /// <summary>Puts the likeliest tokens first, the likeliest of them at the beginning, of equals the one with the lower id.</summary>
    /// <param name="count">How many are needed in order.</param>
    public void Order(int count)
    {
        count = Math.Min(count, Count);
        if (count <= _ordered) return;
        if (count > Few)
        {
            var keys = _weights.AsSpan(0, Count);
            TensorPrimitives.Negate(Logits, keys);
            OrderBy(keys);
            _ordered = Count;
            return;
        }

        FindLikeliest(count);
        for (var i = 0; i < count; i++)
        {
            Swap(i, _places[i]);
            // What stood at the beginning now stands where the likelier one was.
            for (var later = i + 1; later < count; later++)
                if (_places[later] == i) _places[later] = _places[i];
        }

        _ordered = count;
    }

    /// <summary>Keeps the tokens at the beginning of the list.</summary>
    /// <param name="count">How many; at least one stays.</param>
    public void Take(int count)
    {
        Count = Math.Clamp(count, 1, Count);
        if (_ordered == 0) _isWeighed = false; // weights are relative to the greatest logit, which may have gone
        _ordered = Math.Min(_ordered, Count);
    }

    /// <summary>Takes tokens away from the beginning of the list.</summary>
    /// <param name="count">How many; at least one stays.</param>
    public void Skip(int count)
    {
        count = Math.Clamp(count, 0, Count - 1);
        _tokens.AsSpan(count, Count - count).CopyTo(_tokens);
        _logits.AsSpan(count, Count - count).CopyTo(_logits);
        Count -= count;
        (_ordered, _isWeighed) = (Math.Max(0, _ordered - count), false);
    }

    /// <summary>Keeps the tokens whose logit is high enough; the likeliest in any case.</summary>
    /// <param name="least">The lowest logit that stays.</param>
    public void KeepFrom(float least)
    {
        least = Math.Min(least, TensorPrimitives.Max(Logits));
        var kept = 0;
        for (var place = 0; place < Count; place++)
        {
            if (!(_logits[place] >= least)) continue;
            if (kept != place) Swap(kept, place);
            kept++;
        }

        Count = kept;
        _ordered = Math.Min(_ordered, Count);
    }

    /// <summary>Orders all tokens by keys, the lowest first, of equals the one with the lower id.</summary>
    /// <param name="keys">[count], one for each, in the order of <see cref="Tokens"/>; no NaN.</param>
    public void OrderBy(ReadOnlySpan<float> keys)
    {
        for (var place = 0; place < Count; place++)
        {
            var bits = BitConverter.SingleToUInt32Bits(keys[place] + 0f); // −0 is 0
            var ascending = (int)bits < 0 ? ~bits : bits | 0x8000_0000;
            (_keys[place], _order[place]) = (((ulong)ascending << 32) | (uint)_tokens[place], place);
        }

        _keys.AsSpan(0, Count).Sort(_order.AsSpan(0, Count));
        for (var place = 0; place < Count; place++)
            (_spareTokens[place], _spareLogits[place]) = (_tokens[_order[place]], _logits[_order[place]]);
        (_tokens, _spareTokens, _logits, _spareLogits) = (_spareTokens, _tokens, _spareLogits, _logits);
        Changed();
    }

    /// <summary>Writes down where the likeliest tokens are, the likeliest first.</summary>
    private void FindLikeliest(int count)
    {
        // Most tokens are compared with the last of the list alone.
        var found = 0;
        for (var place = 0; place < Count; place++)
        {
            if (found == count && !ComesBefore(place, _places[found - 1])) continue;
            var at = found < count ? found++ : found - 1;
            for (; at > 0 && ComesBefore(place, _places[at - 1]); at--) _places[at] = _places[at - 1];
            _places[at] = place;
        }
    }

    private bool ComesBefore(int place, int other) =>
        _logits[place] > _logits[other] || (_logits[place] == _logits[other] && _tokens[place] < _tokens[other]);

    private void Swap(int place, int other)
    {
        (_tokens[place], _tokens[other]) = (_tokens[other], _tokens[place]);
        (_logits[place], _logits[other]) = (_logits[other], _logits[place]);
        (_weights[place], _weights[other]) = (_weights[other], _weights[place]);
    }

    private void Reserve(int vocabulary)
    {
        if (_tokens.Length >= vocabulary) return;
        (_tokens, _spareTokens, _order) = (new int[vocabulary], new int[vocabulary], new int[vocabulary]);
        (_logits, _spareLogits, _weights) = (new float[vocabulary], new float[vocabulary], new float[vocabulary]);
        _keys = new ulong[vocabulary];
    }

    private void Changed() => (_ordered, _isWeighed) = (0, false);
}
