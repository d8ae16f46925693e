namespace Tessera.CSharp.Validation;

/// <summary>How deep a text's brackets are nested, by characters alone: those in strings and comments count too.</summary>
internal static class BracketDepth
{
    /// <summary>The place of the first bracket nested deeper than <paramref name="limit"/>, or null.</summary>
    public static int? FirstBeyond(string text, int limit)
    {
        var (round, angle) = (0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '(' or '[' or '{':
                    round++;
                    break;
                case ')' or ']' or '}':
                    round = Math.Max(0, round - 1);
                    break;
                case '<':
                    angle++;
                    break;
                case '>':
                    angle = Math.Max(0, angle - 1);
                    break;
            }

            // A '<' that no '>' closes is a comparison, and no type reaches past these.
            if (text[i] is ';' or '{' or '}') angle = 0;
            if (round + angle > limit) return i;
        }

        return null;
    }

    /// <summary>How many brackets a text opens: no parser nests deeper.</summary>
    public static int Openings(string text) => text.AsSpan().Count('(') + text.AsSpan().Count('[')
        + text.AsSpan().Count('{') + text.AsSpan().Count('<');
}
