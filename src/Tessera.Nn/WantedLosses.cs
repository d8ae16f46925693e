namespace Tessera.Nn;

/// <summary>Which losses of parts, such as <c>balance</c>, steps are to compute, and which ones the parts could have reported.</summary>
/// <param name="names">The losses that are wanted.</param>
public sealed class WantedLosses(IEnumerable<string> names)
{
    private readonly HashSet<string> _names = [.. names];
    private readonly HashSet<string> _offered = [];

    /// <summary>The losses that parts have offered so far, wanted or not; all there are once a context has run forward.</summary>
    public IReadOnlyCollection<string> Offered => _offered;

    /// <summary>Notes that a part can report a loss, and says whether it is wanted.</summary>
    internal bool Offer(string name)
    {
        _offered.Add(name);
        return _names.Contains(name);
    }
}
