using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>
/// Processors one after the other, and at last a constraint, which nothing can undo. Works in memory of its own that is used again:
/// not for several threads at once.
/// </summary>
/// <param name="processors">In the order in which they change logits.</param>
public sealed class LogitsProcessorChain(params IEnumerable<LogitsProcessor> processors)
{
    private readonly LogitsProcessor[] _processors = [.. processors];
    private float[] _changed = [];
    private TokenMask? _allowed;

    /// <summary>In the order in which they change logits.</summary>
    public IReadOnlyList<LogitsProcessor> Processors => _processors;

    /// <summary>The processors of options in their order, and those of <see cref="DecodingOptions.Processors"/>. Those that are ordered
    /// behind rules of sampling are not among them.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static LogitsProcessorChain Of(DecodingOptions options) =>
        new([.. options.ValidChain().Processors, .. options.Processors]);

    /// <summary>What is made of logits; a token that may not come has −∞.</summary>
    /// <param name="logits">[vocabulary]; not changed.</param>
    /// <param name="history">The tokens so far.</param>
    /// <param name="constraint">Says which tokens may come; all where null.</param>
    /// <returns>[vocabulary], in memory that the next call uses again; <paramref name="logits"/> themselves where nothing changes
    /// them.</returns>
    /// <exception cref="NoTokenAllowedException">No token is left; sequence and constraint are as they were.</exception>
    public ReadOnlySpan<float> Apply(ReadOnlySpan<float> logits, TokenHistory history, TokenConstraint? constraint = null)
    {
        var isRestricted = constraint is not null && IsRestricted(constraint, logits.Length);
        if (isRestricted && _allowed!.Count == 0) throw new NoTokenAllowedException($"{constraint!.Name} allows no token", history);
        if (_processors.Length == 0 && !isRestricted) return logits;

        if (_changed.Length != logits.Length) _changed = new float[logits.Length];
        logits.CopyTo(_changed);
        foreach (var processor in _processors) processor.Apply(_changed, history);
        if (isRestricted) _allowed!.Apply(_changed);
        if (TensorPrimitives.Max<float>(_changed) == float.NegativeInfinity)
            throw new NoTokenAllowedException($"no token is left by {Names(isRestricted ? constraint : null)}", history);
        return _changed;
    }

    private bool IsRestricted(TokenConstraint constraint, int vocabulary)
    {
        if (_allowed?.Vocabulary != vocabulary) _allowed = new TokenMask(vocabulary);
        _allowed.AllowAll();
        return constraint.Restrict(_allowed);
    }

    private string Names(TokenConstraint? constraint)
    {
        var names = _processors.Select(processor => processor.GetType().Name);
        return string.Join(" and ", constraint is null ? names : names.Append(constraint.Name));
    }
}
