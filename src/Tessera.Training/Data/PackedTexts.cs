using System.Runtime.InteropServices;
using Tessera.Models;
using Tessera.Text.Corpora;

namespace Tessera.Training.Data;

/// <summary>Packed texts as they are, each place predicting the next token of its text: a text that does not fit goes on in the next
/// row.</summary>
internal sealed class PackedTexts : PackedDataset
{
    private readonly List<EncodedText> _texts;

    /// <summary>Lays texts out.</summary>
    /// <param name="examples">The examples.</param>
    /// <param name="encode">Makes a text of one.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">There is nothing to predict.</exception>
    public PackedTexts(IReadOnlyList<Example> examples, Func<Example, EncodedText> encode, BatchOptions options) : base(options)
    {
        _texts = [.. examples.Select(encode)];
        Lay();
        if (Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
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
        var (ids, targetStart) = _texts[piece.Text];
        ids.AsSpan(piece.Start, piece.Count).CopyTo(inputs);
        var read = Math.Clamp(targetStart - piece.Start - 1, 0, piece.Count);
        targets[..read].Fill(-1);
        ids.AsSpan(piece.Start + read + 1, piece.Count - read).CopyTo(targets[read..]);
    }

    private void Lay()
    {
        Clear();
        for (var text = 0; text < _texts.Count; text++)
        {
            // Input i predicts token i + 1, so a text of n tokens takes n − 1 places.
            var places = _texts[text].Ids.Length - 1;
            for (var start = 0; start < places;)
            {
                var count = Math.Min(Room, places - start);
                Place(new Piece(text, start, count));
                start += count;
            }
        }
    }
}
