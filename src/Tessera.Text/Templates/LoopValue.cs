using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>What a template knows of the loop it is in.</summary>
/// <param name="items">What the loop goes over.</param>
/// <param name="depth">How many times a recursive loop has called itself.</param>
/// <param name="again">Runs the loop over other items; null where it is not recursive.</param>
internal sealed class LoopValue(IReadOnlyList<object?> items, int depth, Func<object?, string>? again) : IAttributes
{
    private object? _changed;

    public string TypeName => "LoopContext";

    /// <summary>The place of the current item, from 0.</summary>
    public int Index { get; set; }

    public object? Again(Arguments arguments) => again is null
        ? throw new TemplateException(TemplateErrorKind.TypeError, "the loop is not recursive and cannot be called")
        : again(arguments.Required(0, "items"));

    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "index" => (BigInteger)(Index + 1),
            "index0" => (BigInteger)Index,
            "revindex" => (BigInteger)(items.Count - Index),
            "revindex0" => (BigInteger)(items.Count - Index - 1),
            "first" => Index == 0,
            "last" => Index == items.Count - 1,
            "length" => (BigInteger)items.Count,
            "depth" => (BigInteger)(depth + 1),
            "depth0" => (BigInteger)depth,
            "previtem" => Index > 0 ? items[Index - 1] : new Undefined("there is no previous item"),
            "nextitem" => Index < items.Count - 1 ? items[Index + 1] : new Undefined("there is no next item"),
            "cycle" => new Function("cycle", "*", arguments => arguments.Positional.Count > 0
                ? arguments.Positional[Index % arguments.Positional.Count]
                : throw new TemplateException(TemplateErrorKind.TypeError, "no items for cycling given")),
            "changed" => new Function("changed", "*", arguments => Changed(arguments)),
            _ => null,
        };
        return value is not null || name is "previtem" or "nextitem";
    }

    private bool Changed(Arguments arguments)
    {
        var now = new PythonTuple([.. arguments.Positional]);
        var changed = _changed is null || !Operators.Equal(_changed, now);
        _changed = now;
        return changed;
    }
}
