using Tessera.Models;
using Tessera.Text.Corpora;

namespace Tessera.Training.Data;

/// <summary>
/// Packed texts as they are, each place predicting the next token of its text. A plain text that does not fit goes on in the next row.
/// Pairs and conversations stay whole, since a target without its source cannot be predicted: each goes, the longest first, to the fullest
/// row that has room for it, and those that are longer than a row are left out.
/// <para>Best-fit decreasing packing as in Ding et al. 2024, <see href="https://arxiv.org/abs/2404.10830"/>, section 3.</para>
/// </summary>
internal sealed class PackedTexts : PackedDataset
{
    private readonly List<EncodedText> _texts = [];
    private readonly List<int> _plain = [];
    private readonly List<int> _whole = [];

    /// <summary>Lays texts out.</summary>
    /// <param name="examples">The examples.</param>
    /// <param name="encode">Makes a text of one.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">There is nothing to predict.</exception>
    public PackedTexts(IReadOnlyList<Example> examples, Func<Example, EncodedText> encode, BatchOptions options) : base(options)
    {
        foreach (var example in examples)
        {
            var isWhole = example.Source is not null || example.Conversation is not null;
            var text = encode(example);
            if (isWhole && Places(text) > options.Length)
            {
                TooLong++;
                continue;
            }

            (isWhole ? _whole : _plain).Add(_texts.Count);
            _texts.Add(text);
        }

        Lay();
        if (Count > 0) return;
        throw new InvalidDataException(TooLong > 0
            ? $"data: none of {examples.Count} examples fits into {options.Length} tokens, its source included "
                + "(batches.length, or the phase's length)"
            : "data: the corpus has no text to learn from");
    }

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (!base.Fit(length, sourceLength)) return false;
        Lay();
        return true;
    }

    /// <inheritdoc/>
    protected override void Write(in Piece piece, Span<int> inputs, Span<int> targets)
    {
        var text = _texts[piece.Text];
        text.Ids.AsSpan(piece.Start, piece.Count).CopyTo(inputs);
        text.Ids.AsSpan(piece.Start + 1, piece.Count).CopyTo(targets);
        targets[..Math.Clamp(text.TargetStart - piece.Start - 1, 0, piece.Count)].Fill(-1);
        if (text.IsPredicted is not { } predicted) return;
        for (var place = 0; place < piece.Count; place++)
            if (!predicted[piece.Start + place + 1]) targets[place] = -1;
    }

    /// <summary>Input i predicts token i + 1, so a text of n tokens takes n − 1 places.</summary>
    private static int Places(in EncodedText text) => text.Ids.Length - 1;

    private void Lay()
    {
        Clear();
        foreach (var row in WholeRows())
        {
            foreach (var text in row) Place(new Piece(text, 0, Places(_texts[text])));
            EndRow();
        }

        foreach (var text in _plain)
        {
            var places = Places(_texts[text]);
            for (var start = 0; start < places;)
            {
                var count = Math.Min(Room, places - start);
                Place(new Piece(text, start, count));
                start += count;
            }
        }
    }

    /// <summary>Which of the texts that stay whole, and fit, stand together in a row.</summary>
    private List<List<int>> WholeRows()
    {
        var rows = new List<List<int>>();
        var withRoom = new SortedSet<(int Room, int Row)>();
        foreach (var text in _whole.Where(text => Places(_texts[text]) <= Length).OrderByDescending(text => Places(_texts[text])))
        {
            var places = Places(_texts[text]);
            var (room, row) = withRoom.GetViewBetween((places, 0), (Length, int.MaxValue)).Min;
            if (room == 0)
            {
                (room, row) = (Length, rows.Count);
                rows.Add([]);
            }
            else
            {
                withRoom.Remove((room, row));
            }

            rows[row].Add(text);
            if (room > places) withRoom.Add((room - places, row));
        }

        return rows;
    }
}
