namespace Tessera.Generation.Sampling;

/// <summary>
/// Says which tokens may come next in one sequence, by those that it has been told of: of the generated ones each, one by one; of the
/// prompt none. It goes back where tokens are taken back (a rejected draft), and forks where a sequence does (beams).
/// </summary>
public abstract class TokenConstraint
{
    /// <summary>What messages call it.</summary>
    public virtual string Name => GetType().Name;

    /// <summary>Takes away the tokens that may not come next. It changes nothing here, and may be asked any number of times.</summary>
    /// <param name="allowed">Over the vocabulary of the model; it may lack tokens already, which stay away.</param>
    /// <returns>Whether tokens may be missing; where false every token may come, <paramref name="allowed"/> is as it was, and nobody
    /// looks at it.</returns>
    public abstract bool Restrict(TokenMask allowed);

    /// <summary>Takes the next token of the sequence.</summary>
    /// <exception cref="ArgumentException">It may not come; the constraint is as it was.</exception>
    public abstract void Accept(int token);

    /// <summary>Takes back the last tokens.</summary>
    /// <param name="tokens">How many; 0 to as many as were accepted, those before a fork too.</param>
    /// <exception cref="ArgumentOutOfRangeException">So many were not accepted; the constraint is as it was.</exception>
    public abstract void Rollback(int tokens);

    /// <summary>The same place in the same sequence once more; both go on by themselves.</summary>
    public abstract TokenConstraint Fork();

    /// <summary>The refusal of a token.</summary>
    protected ArgumentException NotAllowed(int token, string reason) =>
        new($"{Name} does not allow token {token}: {reason}", nameof(token));
}
