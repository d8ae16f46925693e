namespace Tessera.Models.Formats;

/// <summary>Names in messages: in order, the first ten.</summary>
internal static class NameList
{
    private const int Shown = 10;

    public static string Of(IReadOnlyCollection<string> names)
    {
        if (names.Count == 0) return "none";
        var first = string.Join(", ", names.Order(StringComparer.Ordinal).Take(Shown));
        return names.Count <= Shown ? first : $"{first} and {names.Count - Shown} more";
    }
}
