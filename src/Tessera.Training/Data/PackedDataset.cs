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

    public PackedDataset(IReadOnlyList<Example> examples, Tokenizer tokenizer, BatchOptions options)
    {
        (_length, _rowsAtOnce) = (options.Length, Math.Max(1, options.Tokens / options.Length));
        var row = new Row(_length);
        foreach (var example in examples)
        {
            var source = example.Source is null ? [] : tokenizer.EncodeOrdinary(example.Source + "\n");
            int[] text = [SpecialTokens.Begin, .. source, .. tokenizer.EncodeOrdinary(example.Target), SpecialTokens.End];
            // Input i predicts token i + 1, so a text of n tokens takes n − 1 places.
            for (var start = 0; start < text.Length - 1;)
            {
                var count = Math.Min(_length - row.Used, text.Length - 1 - start);
                row.Add(text, start, count, predictFrom: source.Length);
                start += count;
                if (row.Used < _length) continue;
                _rows.Add(row);
                row = new Row(_length);
            }
        }

        if (row.Used > 0) _rows.Add(row);
        if (_rows.Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
    }

    public override int Count => _rows.Count;

    protected override IEnumerable<int[]> Rows() => _rows.SelectMany(row => new[] { row.Inputs, row.Targets });

    protected override int[] Order(CounterRandom random)
    {
        var order = Enumerable.Range(0, Count).ToArray();
        random.Shuffle(order.AsSpan());
        return order;
    }

    protected override List<int[]> Cut(int[] order) => [.. order.Chunk(_rowsAtOnce)];

    protected override Batch Make(int[] examples)
    {
        Tensor Stack(Func<Row, int[]> part)
        {
            var tensor = Tensor.Temporary([examples.Length, _length], ElementType.I32);
            for (var row = 0; row < examples.Length; row++) part(_rows[examples[row]]).CopyTo(tensor.Ints[(row * _length)..]);
            return tensor;
        }

        var predicted = examples.Sum(example => _rows[example].Targets.Count(target => target >= 0));
        return new Batch
        {
            Inputs = Stack(row => row.Inputs), Targets = Stack(row => row.Targets), Positions = Stack(row => row.Positions),
            Segments = Stack(row => row.Segments), TargetTokens = predicted, Tokens = examples.Sum(example => _rows[example].Used),
        };
    }

    private sealed class Row(int length)
    {
        private int _segment;

        public int[] Inputs { get; } = new int[length];

        public int[] Targets { get; } = Filled(length, -1);

        public int[] Positions { get; } = new int[length];

        public int[] Segments { get; } = Filled(length, -1);

        public int Used { get; private set; }

        /// <summary>Appends the places <paramref name="start"/> … of a text; positions start anew in each row.</summary>
        public void Add(int[] text, int start, int count, int predictFrom)
        {
            for (var i = 0; i < count; i++, Used++)
            {
                Inputs[Used] = text[start + i];
                Targets[Used] = start + i >= predictFrom ? text[start + i + 1] : -1;
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
