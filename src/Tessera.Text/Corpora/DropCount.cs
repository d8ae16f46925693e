namespace Tessera.Text.Corpora;

/// <summary>Counts what a corpus leaves out, by reason.</summary>
public sealed class DropCount() : SortedDictionary<string, int>(StringComparer.Ordinal)
{
    /// <summary>Counts one more.</summary>
    /// <param name="reason">Why it was left out: <c>source too long</c>.</param>
    public void Add(string reason) => this[reason] = 1 + this.GetValueOrDefault(reason);
}
