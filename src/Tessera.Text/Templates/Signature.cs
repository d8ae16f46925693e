namespace Tessera.Text.Templates;

/// <summary>
/// What arguments something takes, written as Python's help does: <c>"sub, start?, end?, /"</c> takes one to three, none of them by
/// name; <c>"sep?, maxsplit?"</c> up to two, in order or by name; <c>"*"</c> and <c>"**"</c> any others. What it does not take is refused.
/// </summary>
internal sealed class Signature
{
    private readonly string[] _names;
    private readonly int _required;
    private readonly bool _byName;
    private readonly bool _more;
    private readonly bool _otherNames;

    private Signature(string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        (_byName, _more, _otherNames) = (!parts.Contains("/"), parts.Contains("*"), parts.Contains("**"));
        var own = parts.Where(part => part is not ("/" or "*" or "**")).ToList();
        _required = own.Count(part => !part.EndsWith('?'));
        _names = [.. own.Select(part => part.TrimEnd('?'))];
    }

    public static implicit operator Signature(string text) => new(text);

    /// <summary>Throws where arguments are missing, too many, given twice, or of names that are not taken.</summary>
    /// <param name="of">The name of what is called, for the message.</param>
    public void Check(string of, Arguments given)
    {
        var positional = given.Positional.Count;
        if (positional > _names.Length && !_more)
            throw Error($"{of} takes {(_names.Length == 0 ? "no arguments" : $"at most {_names.Length}")}, {positional} given");
        foreach (var name in given.Named.Keys)
        {
            var place = _byName ? Array.IndexOf(_names, name) : -1;
            if (place < 0 && !_otherNames) throw Error($"{of} takes no argument named '{name}'");
            if (place >= 0 && place < positional) throw Error($"{of} is given '{name}' twice");
        }

        for (var i = positional; i < _required; i++)
            if (!given.Named.ContainsKey(_names[i])) throw Error($"{of} needs its argument '{_names[i]}'");
    }

    private static TemplateException Error(string message) => new(TemplateErrorKind.TypeError, message);
}
