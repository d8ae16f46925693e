namespace Tessera.Text.Templates;

internal static partial class Filters
{
    private static List<object?> Sort(object? value, Arguments given, Rendering rendering)
    {
        var sensitive = given.Truth(1, "case_sensitive");
        var key = given.Get(2, "attribute") is string several && several.Contains(',')
            ? item => new PythonTuple([.. several.Split(',').Select(path => Key(path, sensitive)(item))])
            : Key(given.Get(2, "attribute"), sensitive);
        return Ordered(Operators.Items(value), key, given.Truth(0, "reverse"));
    }

    private static List<object?> DictionarySort(object? value, Arguments given, Rendering rendering)
    {
        if (value is not PythonDictionary dictionary)
            throw new TemplateException(TemplateErrorKind.TypeError, $"'{Printing.TypeName(value)}' object has no items");
        var part = given.Text(1, "by", "key") switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw new TemplateException(TemplateErrorKind.ValueError, "You can only sort by either \"key\" or \"value\""),
        };
        var sensitive = given.Truth(0, "case_sensitive");
        return Ordered(Attributes.Pairs(dictionary), pair => Folded(((PythonTuple)pair!)[part], sensitive), given.Truth(2, "reverse"));
    }

    private static List<object?> GroupBy(object? value, Arguments given, Rendering rendering)
    {
        var (path, otherwise, sensitive) = (given.Required(0, "attribute"), given.Get(1, "default"), given.Truth(2, "case_sensitive"));
        var groups = new List<object?>();
        object? current = null;
        foreach (var item in Ordered(Operators.Items(value), Of, reverse: false))
        {
            if (groups.Count == 0 || !Operators.Equal(current, Of(item)))
            {
                current = Of(item);
                groups.Add(new PythonTuple(Raw(item), new List<object?>()) { Names = ["grouper", "list"] });
            }

            ((List<object?>)((PythonTuple)groups[^1]!)[1]!).Add(item);
        }

        return groups;

        object? Raw(object? item) =>
            Attributes.Path(item, path) is var found && found is Undefined && otherwise is not null ? otherwise : found;
        object? Of(object? item) => Folded(Raw(item), sensitive);
    }

    private static List<object?> Unique(object? value, Arguments given, Rendering rendering)
    {
        var key = Key(given.Get(1, "attribute"), given.Truth(0, "case_sensitive"));
        var seen = new PythonDictionary();
        var unique = new List<object?>();
        foreach (var item in Operators.Items(value))
        {
            if (seen.TryGet(key(item), out _)) continue;
            seen[key(item)] = true;
            unique.Add(item);
        }

        return unique;
    }

    private static object? Best(IReadOnlyList<object?> items, Arguments given, bool greatest)
    {
        if (items.Count == 0) return new Undefined("No aggregated item, sequence was empty.");
        var key = Key(given.Get(1, "attribute"), given.Truth(0, "case_sensitive"));
        var sign = greatest ? ">" : "<";
        return items.Aggregate(
            (best, item) => Operators.Compare(key(item), key(best), sign) is var order && (greatest ? order > 0 : order < 0) ? item : best);
    }

    private static Func<object?, object?> Key(object? path, bool caseSensitive) =>
        item => Folded(path is null ? item : Attributes.Path(item, path), caseSensitive);

    private static object? Folded(object? value, bool caseSensitive) =>
        value is string text && !caseSensitive ? CaseMapping.Lower(text) : value;

    /// <summary>Equal items keep their order, in reverse too, as Python has it.</summary>
    private static List<object?> Ordered(IEnumerable<object?> items, Func<object?, object?> key, bool reverse)
    {
        var comparer = Comparer<object?>.Create((left, right) => Operators.Compare(left, right, "<"));
        try
        {
            return (reverse ? items.OrderByDescending(key, comparer) : items.OrderBy(key, comparer)).ToList();
        }
        catch (InvalidOperationException failure) when (failure.InnerException is TemplateException error)
        {
            throw error;
        }
    }
}
