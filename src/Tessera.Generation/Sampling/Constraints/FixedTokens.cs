namespace Tessera.Generation.Sampling;

/// <summary>Only tokens of one set may come, everywhere. A sequence can end only where its stop tokens are among them.</summary>
/// <param name="tokens">The set; ids of the model's vocabulary.</param>
public sealed class AllowedTokens(params IEnumerable<int> tokens) : TokenConstraint
{
    private readonly HashSet<int> _tokens = [.. tokens];
    private TokenMask? _mask;

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary lacks a token of the set.</exception>
    public override bool Restrict(TokenMask allowed)
    {
        allowed.And(MaskOver(allowed.Vocabulary));
        return true;
    }

    /// <inheritdoc/>
    public override void Accept(int token)
    {
        if (!_tokens.Contains(token)) throw NotAllowed(token, $"it is none of the {_tokens.Count} allowed ones");
    }

    /// <inheritdoc/>
    public override void Rollback(int tokens) => ArgumentOutOfRangeException.ThrowIfNegative(tokens);

    /// <inheritdoc/>
    public override TokenConstraint Fork() => this;

    private TokenMask MaskOver(int vocabulary)
    {
        var mask = _mask;
        if (mask?.Vocabulary == vocabulary) return mask;
        mask = new TokenMask(vocabulary);
        mask.ForbidAll();
        foreach (var token in _tokens) mask[token] = true;
        return _mask = mask;
    }
}

/// <summary>No token of one set may come, anywhere.</summary>
/// <param name="tokens">The set; ids of the model's vocabulary.</param>
public sealed class ForbiddenTokens(params IEnumerable<int> tokens) : TokenConstraint
{
    private readonly HashSet<int> _tokens = [.. tokens];

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary lacks a token of the set.</exception>
    public override bool Restrict(TokenMask allowed)
    {
        foreach (var token in _tokens) allowed[token] = false;
        return _tokens.Count > 0;
    }

    /// <inheritdoc/>
    public override void Accept(int token)
    {
        if (_tokens.Contains(token)) throw NotAllowed(token, "it is forbidden");
    }

    /// <inheritdoc/>
    public override void Rollback(int tokens) => ArgumentOutOfRangeException.ThrowIfNegative(tokens);

    /// <inheritdoc/>
    public override TokenConstraint Fork() => this;
}
