using System.Collections;
using System.Globalization;

namespace Tessera.Models.Formats;

/// <summary>Names that differ by a number, composed when they are asked for: how many there are may be a stranger's claim.</summary>
/// <param name="pattern">With <c>{0}</c> for the number, from 0.</param>
/// <param name="count">How many.</param>
internal sealed class NumberedNames(string pattern, int count) : IReadOnlyList<string>
{
    public int Count => count;

    public string this[int index] => (uint)index < (uint)count
        ? pattern.Replace("{0}", index.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        : throw new ArgumentOutOfRangeException(nameof(index), index, $"there are {count} names");

    public IEnumerator<string> GetEnumerator()
    {
        for (var index = 0; index < count; index++) yield return this[index];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
