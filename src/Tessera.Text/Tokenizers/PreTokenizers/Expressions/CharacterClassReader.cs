namespace Tessera.Text.Tokenizers;

/// <summary>Reads a class of characters, <c>[…]</c>, as Oniguruma does: with classes in it and <c>&amp;&amp;</c> between them.</summary>
/// <param name="reader">Stands after the opening bracket.</param>
/// <param name="ignoresCase">Whether the other cases of its characters are in it, too.</param>
internal sealed class CharacterClassReader(OnigurumaReader reader, bool ignoresCase)
{
    private const int DeepestClass = 100;

    private int _depth;

    /// <summary>The set, to the closing bracket.</summary>
    public CodePointSet Read()
    {
        if (++_depth > DeepestClass) throw reader.Unsupported($"more than {DeepestClass} classes in each other");
        var isNegated = reader.Takes("^");
        var (ranges, sets, all) = (new List<(int, int)>(), CodePointSet.Empty, default(CodePointSet));
        var isFirst = true;
        for (; !IsClosed(isFirst); isFirst = false)
        {
            if (reader.Takes("&&"))
            {
                all = And(all, sets.Or(CodePointSet.Of(ranges)));
                (ranges, sets) = ([], CodePointSet.Empty);
            }
            else if (ReadSet() is { } set)
            {
                sets = sets.Or(set);
            }
            else
            {
                ranges.Add(ReadRange());
            }
        }

        all = And(all, sets.Or(CodePointSet.Of(ranges)));
        if (ignoresCase) all = CharacterProperties.IgnoringCase(all);
        _depth--;
        return isNegated ? all.Complement : all;
    }

    private static CodePointSet And(CodePointSet? one, CodePointSet other) => one is null ? other : one.And(other);

    private bool IsClosed(bool isFirst)
    {
        if (reader.IsAtEnd) throw reader.Unsupported("a class without an end");
        // One that comes first stands for itself, if another closes the class.
        return !(isFirst && reader.Comes("]") && reader.ComesLater(']')) && reader.Takes("]");
    }

    /// <summary>A class within the class, or what an escape names; null where a character comes.</summary>
    private CodePointSet? ReadSet()
    {
        if (reader.Comes("[:") && ReadPosix() is { } posix) return posix;
        if (reader.Takes("[")) return Read();
        if (!reader.Takes("\\")) return null;
        if (reader.ReadSetEscape(inClass: true) is { } set) return set;
        reader.Back();
        return null;
    }

    private CodePointSet? ReadPosix()
    {
        if (reader.PosixName() is not { } name) return null;
        var isNegated = name.StartsWith('^');
        var set = CharacterProperties.FindPosix(isNegated ? name[1..] : name) ?? throw reader.Unsupported($"[:{name}:]");
        return isNegated ? set.Complement : set;
    }

    private (int, int) ReadRange()
    {
        var start = ReadCharacter();
        // A '-' before the end or before a class stands for itself.
        if (!reader.Comes("-") || reader.Comes("-]") || reader.Comes("-[") || reader.Comes("-&&")) return (start, start);
        reader.Takes("-");
        if (reader.Comes("\\") && reader.NamesSet()) throw reader.Unsupported("a range that ends in a class");
        var end = ReadCharacter();
        return start <= end ? (start, end) : throw reader.Unsupported("a range that ends before it begins");
    }

    private int ReadCharacter() => (reader.Takes("\\") ? reader.ReadCharacterEscape() : reader.NextRune()).Value;
}
