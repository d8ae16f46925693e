using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>What becomes of the matches that text is cut at, the <c>behavior</c> of <c>tokenizer.json</c>.</summary>
internal enum SplitBehavior
{
    /// <summary>Each is a piece.</summary>
    Isolated,

    /// <summary>They are dropped.</summary>
    Removed,

    /// <summary>A match goes with the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>A match goes with the piece after it.</summary>
    MergedWithNext,

    /// <summary>Neighbouring matches are one piece.</summary>
    Contiguous,
}

/// <summary>Makes pieces of matches and of what lies between them.</summary>
internal static class Splitting
{
    /// <summary>The behavior under <c>behavior</c>.</summary>
    public static SplitBehavior Read(JsonPart part)
    {
        var known = Enum.TryParse<SplitBehavior>(part.Text(), out var behavior) && behavior.ToString() == part.Text();
        return known ? behavior : throw part.Unsupported(string.Join(", ", Enum.GetNames<SplitBehavior>()));
    }

    /// <summary>Writes <c>behavior</c>.</summary>
    public static void Write(Utf8JsonWriter writer, SplitBehavior behavior) =>
        writer.WriteString("behavior", behavior.ToString());

    /// <summary>Adds the pieces of a text.</summary>
    /// <param name="length">The length of the text.</param>
    /// <param name="matches">What was found in it, in order; none overlaps another. Empty ones cut, but are no pieces.</param>
    /// <param name="behavior">What becomes of matches.</param>
    /// <param name="inverted">Whether what lies between matches counts as the match.</param>
    /// <param name="offset">What is added to every <see cref="Piece.Start"/>.</param>
    /// <param name="pieces">Where the pieces go.</param>
    public static void Add(
        int length, List<Piece> matches, SplitBehavior behavior, bool inverted, int offset, List<Piece> pieces)
    {
        var parts = new List<(int Start, int End, bool IsMatch)>(2 * matches.Count + 1);
        var done = 0;
        foreach (var (start, size) in matches)
        {
            if (done < start) parts.Add((done, start, inverted));
            parts.Add((start, done = start + size, !inverted));
        }

        if (done < length) parts.Add((done, length, inverted));
        for (var i = 0; i < parts.Count;)
        {
            var next = i + 1;
            while (next < parts.Count && Joins(next)) next++;
            var size = parts[next - 1].End - parts[i].Start;
            if (size > 0 && (behavior != SplitBehavior.Removed || !parts[i].IsMatch)) pieces.Add(new Piece(offset + parts[i].Start, size));
            i = next;
        }

        // Of matches in a row only the nearest goes with what is no match.
        bool Joins(int next) => behavior switch
        {
            SplitBehavior.Contiguous => parts[next].IsMatch == parts[next - 1].IsMatch,
            SplitBehavior.MergedWithPrevious => parts[next].IsMatch && !parts[next - 1].IsMatch,
            SplitBehavior.MergedWithNext => !parts[next].IsMatch && parts[next - 1].IsMatch,
            _ => false,
        };
    }
}
