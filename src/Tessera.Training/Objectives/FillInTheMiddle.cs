using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="FillInTheMiddle"/>; <c>"kind": "fill-in-the-middle"</c> in a recipe.</summary>
/// <param name="Rate">How many of the pieces of text are rearranged, from 0 to 1; the rest are learned from left to right.</param>
/// <param name="Prefix">The token before what stands before the gap.</param>
/// <param name="Suffix">The token before what stands after the gap.</param>
/// <param name="Middle">The token before what fills the gap.</param>
public sealed record FillInTheMiddleOptions(
    double Rate = 0.5, string Prefix = "<fim_prefix>", string Suffix = "<fim_suffix>", string Middle = "<fim_middle>") : ObjectiveOptions
{
    /// <inheritdoc/>
    public override IReadOnlyList<Sentinel> Sentinels() => [new("prefix", Prefix), new("suffix", Suffix), new("middle", Middle)];

    /// <inheritdoc/>
    public override int MinLength() => 16;

    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => model.Generates && !model.ReadsSource;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new FillInTheMiddle(this, context);

    /// <inheritdoc/>
    public override void Validate(string path)
    {
        Require(Rate is >= 0 and <= 1, $"{path}.rate", Rate, "0 to 1");
        foreach (var (key, text) in Sentinels())
        {
            var isAlone = text.Length > 0 && Sentinels().Count(other => other.Text == text) == 1;
            Require(isAlone, $"{path}.{key}", $"'{text}'", "a text of its own, different from the other tokens that mark places");
        }
    }
}

/// <summary>
/// A decoder learns to fill gaps: of a text <c>abc</c> cut at two random places it reads <c>P a S c M b</c>, each capital a token of its
/// own, and predicts every token after the first, with the end of texts after <c>b</c>. Texts are packed as for <c>next-token</c>; what a
/// row holds of one is a piece that is rearranged, or not, by itself, so that gap and surroundings are in sight together. The places are
/// drawn anew in each epoch, between tokens. Of a pair, source, line break and target are one text.
/// <para>Bavarian et al. 2022, <see href="https://arxiv.org/abs/2207.14255"/>: the order prefix, suffix, middle, of pieces that fit the
/// context.</para>
/// </summary>
internal sealed class FillInTheMiddle : Objective
{
    private readonly FillInTheMiddleOptions _options;

    internal FillInTheMiddle(FillInTheMiddleOptions options, ObjectiveContext context) : base(context) => _options = options;

    /// <summary>The tokens of a text with a gap that a model trained so is to fill.</summary>
    /// <param name="prefix">What stands before the gap; may be empty.</param>
    /// <param name="suffix">What stands after it; may be empty.</param>
    public int[] EncodeGap(string prefix, string suffix)
    {
        var (_, tokenizer, format) = Context;
        var marks = Marks();
        return
        [
            .. format.Opening(tokenizer), marks.Prefix, .. tokenizer.EncodeOrdinary(prefix),
            marks.Suffix, .. tokenizer.EncodeOrdinary(suffix), marks.Middle,
        ];
    }

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches) =>
        new RearrangedTexts(examples, Context, Marks(), _options.Rate, batches);

    private GapMarks Marks() => new(Context.IdOf(_options.Prefix), Context.IdOf(_options.Suffix), Context.IdOf(_options.Middle));
}

/// <summary>The tokens that stand before the three parts of a text with a gap.</summary>
internal readonly record struct GapMarks(int Prefix, int Suffix, int Middle);

/// <summary>Packed pieces of texts, some of them rearranged.</summary>
internal sealed class RearrangedTexts : PackedDataset
{
    /// <summary>A stretch shorter than this is rearranged only where it is all that is left of its text.</summary>
    private const int MinStretch = 8;

    private static readonly (int, int) s_plain = (-1, -1);

    private readonly List<int[]> _texts;
    private readonly int[] _opening, _end;
    private readonly GapMarks _marks;
    private readonly double _rate;
    private int[] _sequence;

    /// <summary>Encodes texts.</summary>
    /// <param name="examples">The texts.</param>
    /// <param name="context">Turns them into ids.</param>
    /// <param name="marks">The tokens that mark prefix, suffix and middle.</param>
    /// <param name="rate">How many pieces are rearranged.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">There is nothing to predict.</exception>
    public RearrangedTexts(
        IReadOnlyList<Example> examples, ObjectiveContext context, GapMarks marks, double rate, BatchOptions options) : base(options)
    {
        var (_, tokenizer, format) = context;
        (_opening, _end, _marks, _rate) = (format.Opening(tokenizer), format.End(), marks, rate);
        _texts = [.. examples.Select(example => (example.Source is null
            ? format.EncodeText(tokenizer, example.Target)
            : format.EncodePair(tokenizer, example.Source, example.Target)).Ids)];
        _sequence = new int[Length + 1];
        var rows = (int)(_texts.Sum(text => (long)text.Length + Marks) / Length) + 1;
        Reserve(_texts.Count + (2 * rows), 2 * rows);
        Arrange(new CounterRandom(0));
        if (Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
    }

    /// <summary>The tokens that a piece has besides those of its text once it is rearranged.</summary>
    private int Marks => _opening.Length + 3 + _end.Length;

    /// <inheritdoc/>
    protected override IEnumerable<int[]> Rows() => _texts;

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (!base.Fit(length, sourceLength)) return false;
        if (_sequence.Length <= length) _sequence = new int[length + 1];
        return true;
    }

    /// <inheritdoc/>
    protected override void Arrange(CounterRandom random)
    {
        Clear();
        for (var text = 0; text < _texts.Count; text++) Lay(text, random.Derive((ulong)text));
    }

    /// <inheritdoc/>
    protected override void Write(in Piece piece, Span<int> inputs, Span<int> targets)
    {
        ReadOnlySpan<int> text = _texts[piece.Text];
        if (piece.Arrangement == s_plain)
        {
            text.Slice(piece.Start, piece.Count).CopyTo(inputs);
            text.Slice(piece.Start + 1, piece.Count).CopyTo(targets);
        }
        else
        {
            ReadOnlySpan<int> sequence = Rearranged(text.Slice(piece.Start, piece.Count + 1 - Marks), piece.Arrangement);
            sequence[..piece.Count].CopyTo(inputs);
            sequence.Slice(1, piece.Count).CopyTo(targets);
        }

        var before = piece.Arrangement == s_plain ? piece.Start : 0;
        targets[..Math.Clamp(_opening.Length - 1 - before, 0, piece.Count)].Fill(-1);
    }

    /// <summary>Cuts a text into pieces of rows, and draws of each whether and where it is cut again.</summary>
    private void Lay(int text, CounterRandom random)
    {
        var length = _texts[text].Length;
        var content = length - _end.Length;
        var (next, draw, isBegun) = (_opening.Length, 0UL, false); // the next token to be predicted
        while (next < length && length > 1)
        {
            var stretch = Math.Min(content - next, Room + 1 - Marks);
            var isLongEnough = stretch > 0 && stretch >= Math.Min(content - next, MinStretch);
            if (random.Uniform(draw++) < _rate && isLongEnough)
            {
                var (one, other) = (random.Below(stretch + 1, draw++), random.Below(stretch + 1, draw++));
                Place(new Piece(text, next, stretch + Marks - 1, (Math.Min(one, other), Math.Max(one, other))));
                next += stretch;
                if (next == content) return; // the end of the text stands behind the middle
            }
            else
            {
                var start = isBegun ? next - 1 : 0;
                var count = Math.Min(Room, length - 1 - start);
                Place(new Piece(text, start, count, s_plain));
                next = start + count + 1;
            }

            isBegun = true;
        }
    }

    /// <summary>What stands before texts, prefix, suffix, middle and the end, each after its token.</summary>
    private Span<int> Rearranged(ReadOnlySpan<int> text, (int First, int Second) cuts)
    {
        var rest = Append(_opening, _sequence);
        rest = Append(text[..cuts.First], Append(_marks.Prefix, rest));
        rest = Append(text[cuts.Second..], Append(_marks.Suffix, rest));
        rest = Append(text[cuts.First..cuts.Second], Append(_marks.Middle, rest));
        Append(_end, rest);
        return _sequence;
    }

    private static Span<int> Append(ReadOnlySpan<int> ids, Span<int> into)
    {
        ids.CopyTo(into);
        return into[ids.Length..];
    }

    private static Span<int> Append(int id, Span<int> into)
    {
        into[0] = id;
        return into[1..];
    }
}
