namespace Tessera.Generation.Sampling;

/// <summary>No stop token comes before a sequence has so many tokens. Hugging Face's <c>min_new_tokens</c>.</summary>
public sealed class MinimumLength : TokenConstraint
{
    private readonly int _minimum;
    private readonly int[] _stopTokens;
    private int _length;

    /// <summary>A minimum.</summary>
    /// <param name="minimum">How many tokens are generated at least, the stop token not counted; 0 or more.</param>
    /// <param name="stopTokens">The tokens that end a sequence; those that the model does not have cannot come anyway.</param>
    public MinimumLength(int minimum, params IEnumerable<int> stopTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(minimum);
        (_minimum, _stopTokens) = (minimum, [.. stopTokens]);
    }

    private MinimumLength(MinimumLength other) => (_minimum, _stopTokens, _length) = (other._minimum, other._stopTokens, other._length);

    /// <inheritdoc/>
    public override bool Restrict(TokenMask allowed)
    {
        if (_length >= _minimum) return false;
        foreach (var token in _stopTokens)
            if ((uint)token < (uint)allowed.Vocabulary) allowed[token] = false;
        return _stopTokens.Length > 0;
    }

    /// <inheritdoc/>
    public override void Accept(int token)
    {
        if (_length < _minimum && _stopTokens.Contains(token))
            throw NotAllowed(token, $"it ends a text of {_length} tokens; allowed: from {_minimum} on");
        _length++;
    }

    /// <inheritdoc/>
    public override void Rollback(int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        if (tokens > _length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(tokens), $"{tokens} tokens cannot be taken back; allowed: 0 to {_length}, as many as were accepted");
        }

        _length -= tokens;
    }

    /// <inheritdoc/>
    public override TokenConstraint Fork() => new MinimumLength(this);
}
