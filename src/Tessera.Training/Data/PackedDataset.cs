using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;

namespace Tessera.Training.Data;

/// <summary>
/// Texts laid end to end in rows of equal length, so that nothing is padding but the last row's end; a token sees only its
/// own text. A pair becomes one text, its source, a line break and its target, of which only the target is to be predicted.
/// </summary>
internal sealed class PackedDataset : Dataset
{
    private readonly List<Row> _rows = [];
    private readonly int _length;
    private readonly int _rowsAtOnce;

    public PackedDataset(IReadOnlyList<Example> examples, Tokenizer tokenizer, TextConventions conventions, BatchOptions options)
    {
        (_length, _rowsAtOnce) = (options.Length, Math.Max(1, options.Tokens / options.Length));
        var row = new Row(_length);
        var begin = Before(tokenizer, conventions);
        int[] end = conventions.Ends is [var usual, ..] ? [usual] : [];
        foreach (var example in examples)
        {
            var source = example.Source is null ? [] : tokenizer.EncodeOrdinary(example.Source + "\n");
            int[] text = [.. begin, .. source, .. tokenizer.EncodeOrdinary(example.Target), .. end];
            // Input i predicts token i + 1, so a text of n tokens takes n − 1 places.
            for (var start = 0; start < text.Length - 1;)
            {
                var count = Math.Min(_length - row.Used, text.Length - 1 - start);
                row.Add(text, start, count, predictFrom: begin.Length + source.Length - 1);
                start += count;
                if (row.Used < _length) continue;
                _rows.Add(row);
                row = new Row(_length);
            }
        }

        if (row.Used > 0) _rows.Add(row);
        if (_rows.Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
    }

    /// <summary>What stands before a text: of what frames an empty one, that which a text does not push away.</summary>
    private static int[] Before(Tokenizer tokenizer, TextConventions conventions)
    {
        var frame = conventions.Encode(tokenizer, "");
        return frame[..frame.AsSpan().CommonPrefixLength(conventions.Encode(tokenizer, "a"))];
    }

    public override int Count => _rows.Count;

    protected override IEnumerable<int[]> Rows() => _rows.SelectMany(row => new[] { row.Inputs, row.Targets });

    protected override void Sort(Span<int> examples, CounterRandom random) => random.Shuffle(examples);

    protected override void Cut(ReadOnlySpan<int> order, List<(int Start, int Count)> batches)
    {
        for (var start = 0; start < order.Length; start += _rowsAtOnce) batches.Add((start, Math.Min(_rowsAtOnce, order.Length - start)));
    }

    protected override Batch Make(ReadOnlySpan<int> examples)
    {
        var (inputs, targets) = (Ids(examples.Length), Ids(examples.Length));
        var (positions, segments) = (Ids(examples.Length), Ids(examples.Length));
        var (predicted, used) = (0, 0);
        for (var place = 0; place < examples.Length; place++)
        {
            var row = _rows[examples[place]];
            var at = place * _length;
            row.Inputs.CopyTo(inputs.Ints[at..]);
            row.Targets.CopyTo(targets.Ints[at..]);
            row.Positions.CopyTo(positions.Ints[at..]);
            row.Segments.CopyTo(segments.Ints[at..]);
            (predicted, used) = (predicted + row.Predicted, used + row.Used);
        }

        var batch = Batch.Of(inputs, targets, positions);
        (batch.Segments, batch.TargetTokens, batch.Tokens) = (segments, predicted, used);
        return batch;
    }

    private Tensor Ids(int rows) => Tensor.Temporary([rows, _length], ElementType.I32);

    private sealed class Row(int length)
    {
        private int _segment;

        public int[] Inputs { get; } = new int[length];

        public int[] Targets { get; } = Filled(length, -1);

        public int[] Positions { get; } = new int[length];

        public int[] Segments { get; } = Filled(length, -1);

        public int Used { get; private set; }

        public int Predicted { get; private set; }

        /// <summary>Appends the places <paramref name="start"/> … of a text; positions start anew in each row.</summary>
        public void Add(int[] text, int start, int count, int predictFrom)
        {
            for (var i = 0; i < count; i++, Used++)
            {
                Inputs[Used] = text[start + i];
                Targets[Used] = start + i >= predictFrom ? text[start + i + 1] : -1;
                if (Targets[Used] >= 0) Predicted++;
                Positions[Used] = i;
                Segments[Used] = _segment;
            }

            _segment++;
        }

        private static int[] Filled(int length, int value)
        {
            var array = new int[length];
            Array.Fill(array, value);
            return array;
        }
    }
}
