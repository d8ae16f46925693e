using System.Globalization;

namespace Tessera.Text.Tokenizers;

/// <summary>A set of Unicode code points, as ranges in order that do not touch.</summary>
internal sealed class CodePointSet
{
    private const int Last = 0x10FFFF;

    private readonly (int Start, int End)[] _ranges;

    private CodePointSet((int Start, int End)[] ranges) => _ranges = ranges;

    /// <summary>No code point.</summary>
    public static CodePointSet Empty { get; } = new([]);

    /// <summary>Every code point.</summary>
    public static CodePointSet All { get; } = new([(0, Last)]);

    /// <summary>The ranges, both ends included.</summary>
    public IReadOnlyList<(int Start, int End)> Ranges => _ranges;

    /// <summary>Those that are in no set.</summary>
    public CodePointSet Complement
    {
        get
        {
            var (others, from) = (new List<(int, int)>(_ranges.Length + 1), 0);
            foreach (var (start, end) in _ranges)
            {
                if (from < start) others.Add((from, start - 1));
                from = end + 1;
            }

            if (from <= Last) others.Add((from, Last));
            return new CodePointSet([.. others]);
        }
    }

    /// <summary>The code points from one to another.</summary>
    public static CodePointSet Of(int start, int end) => new([(start, end)]);

    /// <summary>The code points of ranges in any order.</summary>
    public static CodePointSet Of(IEnumerable<(int Start, int End)> ranges)
    {
        var joined = new List<(int Start, int End)>();
        foreach (var (start, end) in ranges.Order())
        {
            if (joined.Count > 0 && start <= joined[^1].End + 1) joined[^1] = (joined[^1].Start, Math.Max(joined[^1].End, end));
            else joined.Add((start, end));
        }

        return new CodePointSet([.. joined]);
    }

    /// <summary>The code points of which something holds.</summary>
    public static CodePointSet Where(Func<int, bool> holds)
    {
        var ranges = new List<(int, int)>();
        for (var code = 0; code <= Last;)
        {
            var start = code;
            while (code <= Last && holds(code)) code++;
            if (code > start) ranges.Add((start, code - 1));
            while (code <= Last && !holds(code)) code++;
        }

        return new CodePointSet([.. ranges]);
    }

    /// <summary>Reads hexadecimal ranges such as <c>41-5A AA</c>.</summary>
    public static CodePointSet Parse(string text)
    {
        return Of(text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(range =>
        {
            var ends = range.Split('-');
            return (Code(ends[0]), Code(ends[^1]));
        }));

        static int Code(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }

    /// <summary>The code points of either.</summary>
    public CodePointSet Or(CodePointSet other) => Of(_ranges.Concat(other._ranges));

    /// <summary>The code points of both.</summary>
    public CodePointSet And(CodePointSet other) => Complement.Or(other.Complement).Complement;

    /// <summary>The code points of this that are not in another.</summary>
    public CodePointSet Except(CodePointSet other) => And(other.Complement);

    /// <summary>Whether a code point is in it.</summary>
    public bool Contains(int code)
    {
        var (low, high) = (0, _ranges.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (code < _ranges[middle].Start) high = middle - 1;
            else if (code > _ranges[middle].End) low = middle + 1;
            else return true;
        }

        return false;
    }

    /// <summary>Whether all of another are in it.</summary>
    public bool Contains(CodePointSet other) => other.Except(this)._ranges.Length == 0;
}
