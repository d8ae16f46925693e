using System.IO.Enumeration;

namespace Tessera.Nn.Weights;

/// <summary>Patterns of weights' full names: <c>*</c> stands for any characters and <c>?</c> for one, and the last part <c>weight</c>,
/// which most names have, may be left out, so that <c>*.q_proj</c> and <c>*.q_proj.weight</c> mean the same.</summary>
internal static class WeightPattern
{
    private const string Last = ".weight";

    /// <summary>Whether a weight's full name fits.</summary>
    public static bool Fits(string pattern, string name) => Matches(pattern, name) || Matches(pattern, Short(name));

    /// <summary>A full name without its last part where that is <c>weight</c>.</summary>
    public static string Short(string name) => name.EndsWith(Last, StringComparison.Ordinal) ? name[..^Last.Length] : name;

    /// <summary>One pattern for each kind of weight of a model, to be shown where one fits nothing.</summary>
    public static string Examples(IEnumerable<(string Name, Weight Weight)> weights) =>
        string.Join(", ", weights.Select(own => Kind(Short(own.Name))).Distinct());

    private static string Kind(string name) => name.LastIndexOf('.') is >= 0 and var dot ? $"*{name[dot..]}" : name;

    private static bool Matches(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);
}
