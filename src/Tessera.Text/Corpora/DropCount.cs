namespace Tessera.Text.Corpora;

/// <summary>Counts what a corpus leaves out, by reason.</summary>
internal sealed class DropCount() : SortedDictionary<string, int>(StringComparer.Ordinal)
{
    public void Add(string reason) => this[reason] = 1 + this.GetValueOrDefault(reason);
}
