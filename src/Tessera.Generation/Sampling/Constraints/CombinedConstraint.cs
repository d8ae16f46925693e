namespace Tessera.Generation.Sampling;

/// <summary>Only tokens that each of several constraints allows may come.</summary>
/// <param name="constraints">They become this one's own: nobody else tells them of tokens.</param>
public sealed class CombinedConstraint(params IEnumerable<TokenConstraint> constraints) : TokenConstraint
{
    private readonly TokenConstraint[] _constraints = [.. constraints];

    /// <inheritdoc/>
    public override string Name => string.Join(" and ", _constraints.Select(constraint => constraint.Name));

    /// <inheritdoc/>
    public override bool Restrict(TokenMask allowed)
    {
        var isRestricted = false;
        foreach (var constraint in _constraints) isRestricted |= constraint.Restrict(allowed);
        return isRestricted;
    }

    /// <inheritdoc/>
    public override void Accept(int token)
    {
        var accepted = 0;
        try
        {
            for (; accepted < _constraints.Length; accepted++) _constraints[accepted].Accept(token);
        }
        catch
        {
            foreach (var constraint in _constraints.AsSpan(0, accepted)) constraint.Rollback(1);
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Rollback(int tokens)
    {
        foreach (var constraint in _constraints) constraint.Rollback(tokens);
    }

    /// <inheritdoc/>
    public override TokenConstraint Fork() => new CombinedConstraint(_constraints.Select(constraint => constraint.Fork()));
}
