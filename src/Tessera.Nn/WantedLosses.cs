namespace Tessera.Nn;

/// <summary>Which losses of parts, such as <c>balance</c>, steps are to compute; which there are, <see cref="Module.OfferedLosses"/>
/// says.</summary>
/// <param name="names">The losses that are wanted.</param>
public sealed class WantedLosses(IEnumerable<string> names)
{
    private readonly HashSet<string> _names = [.. names];

    /// <summary>Whether a loss is wanted.</summary>
    public bool Contains(string name) => _names.Contains(name);
}
