using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Pre-tokenizers one after the other, each cutting the pieces of the one before.</summary>
public sealed class PreTokenizerSequence : PreTokenizer
{
    private readonly PreTokenizer[] _all;
    private readonly PreTokenizer[] _cutting;

    /// <summary>Joins pre-tokenizers.</summary>
    /// <param name="steps">
    /// At least one. A <see cref="ByteLevelPreTokenizer"/> can only be the last, and adds a prefix space only where it
    /// is the only one.
    /// </param>
    /// <exception cref="ArgumentException">There is none, or a byte-level one in another place.</exception>
    public PreTokenizerSequence(params PreTokenizer[] steps)
    {
        ArgumentNullException.ThrowIfNull(steps);
        var fault =
            steps.Length == 0 ? "A sequence needs at least one pre-tokenizer."
            : steps[..^1].Any(step => step.IsByteLevel) ? "A byte-level pre-tokenizer is not the last."
            : steps.Length > 1 && steps[^1] is { IsByteLevel: true, ChangesText: true }
                ? "A pre-tokenizer after another adds a prefix space."
            : null;
        if (fault is not null) throw new ArgumentException(fault, nameof(steps));
        _all = steps;
        _cutting =
        [
            .. steps.SelectMany(step => step is PreTokenizerSequence inner ? inner._cutting : [step])
                .Where(step => step is not ByteLevelPreTokenizer { UsesPattern: false, ChangesText: false }),
        ];
    }

    /// <summary>Patterns that cut one after the other, then bytes.</summary>
    /// <exception cref="ArgumentException">A pattern cannot be read.</exception>
    internal static PreTokenizerSequence OnBytes(IEnumerable<string> patterns) =>
        new([.. patterns.Select(pattern => new SplitPreTokenizer(pattern)), new ByteLevelPreTokenizer(usePattern: false)]);

    internal override bool IsByteLevel => _all[^1].IsByteLevel;

    internal override IReadOnlyList<string>? Patterns =>
        _all.All(step => step.Patterns is not null) ? [.. _all.SelectMany(step => step.Patterns!)] : null;

    internal override bool ChangesText => _cutting.Any(step => step.ChangesText);

    internal override ReadOnlySpan<char> Run(ReadOnlySpan<char> text, bool atStart, List<Piece> pieces)
    {
        if (!ChangesText) return base.Run(text, atStart, pieces);
        List<Piece> before = text.Length > 0 ? [new Piece(0, text.Length)] : [];
        foreach (var step in _cutting)
        {
            var after = new List<Piece>(before.Count);
            var changed = new StringBuilder(text.Length + before.Count);
            var done = 0;
            foreach (var (start, length) in before)
            {
                // What is no part of a piece stays, so that only the first character of all stands at the start.
                changed.Append(text[done..start]);
                var prepared = step.Prepared(text.Slice(start, length), atStart && start == 0);
                step.Cut(prepared, changed.Length, after);
                changed.Append(prepared);
                done = start + length;
            }

            text = changed.ToString();
            before = after;
        }

        pieces.AddRange(before);
        return text;
    }

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        if (_cutting.Length == 1)
        {
            _cutting[0].Cut(text, offset, pieces);
            return;
        }

        List<Piece> before = text.Length > 0 ? [new Piece(0, text.Length)] : [];
        foreach (var step in _cutting)
        {
            var after = new List<Piece>(before.Count);
            foreach (var piece in before) step.Cut(text.Slice(piece.Start, piece.Length), piece.Start, after);
            before = after;
        }

        foreach (var piece in before) pieces.Add(piece with { Start = offset + piece.Start });
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Sequence");
        writer.WriteStartArray("pretokenizers");
        foreach (var step in _all) step.Write(writer);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    internal static new PreTokenizerSequence Read(JsonPart part)
    {
        var steps = part.Required("pretokenizers");
        try
        {
            return new PreTokenizerSequence([.. steps.Items().Select(PreTokenizer.Read)]);
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"{steps}: {error.Message}", error);
        }
    }
}
