using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;

namespace Tessera.Training.Data;

/// <summary>Pairs of source and target in batches of like length, so that little is padding.</summary>
internal sealed class PairDataset : Dataset
{
    /// <summary>Lengths that differ by less than this are mixed anew in each epoch.</summary>
    private const double LengthNoise = 8;

    private readonly List<(int[] Source, int[] Target)> _pairs = [];
    private readonly int _tokens;
    private double[] _keys = [];

    public PairDataset(IReadOnlyList<Example> examples, Tokenizer tokenizer, BatchOptions options)
    {
        _tokens = options.Tokens;
        foreach (var example in examples)
        {
            if (example.Source is null)
                throw new InvalidDataException("data: this model reads a source, but the corpus has texts without one; use pairs, or \"model\": { \"kind\": \"decoder\" }");
            var target = tokenizer.EncodeOrdinary(example.Target);
            if (target.Length + 1 > options.Length) TooLong++;
            else _pairs.Add((SourceIds(tokenizer, example.Source, options.SourceLength), target));
        }

        if (_pairs.Count == 0)
            throw new InvalidDataException($"data: none of {examples.Count} pairs has a target of fewer than {options.Length} tokens (batches.length)");
    }

    public override int Count => _pairs.Count;

    /// <summary>A source as the encoder reads it: its ids and an end, cut to a length.</summary>
    public static int[] SourceIds(Tokenizer tokenizer, string source, int length)
    {
        var ids = tokenizer.EncodeOrdinary(source);
        return [.. ids.AsSpan(0, Math.Min(ids.Length, length - 1)), SpecialTokens.End];
    }

    protected override IEnumerable<int[]> Rows() => _pairs.SelectMany(pair => new[] { pair.Source, pair.Target });

    protected override void Sort(Span<int> examples, CounterRandom random)
    {
        if (_keys.Length != examples.Length) _keys = new double[examples.Length];
        for (var i = 0; i < examples.Length; i++) _keys[i] = LengthOf(examples[i]) + (LengthNoise * random.Uniform((ulong)examples[i]));
        _keys.AsSpan().Sort(examples);
    }

    protected override void Cut(ReadOnlySpan<int> order, List<(int Start, int Count)> batches)
    {
        var (start, longest) = (0, 0);
        for (var i = 0; i < order.Length; i++)
        {
            var wider = Math.Max(longest, LengthOf(order[i]));
            if (i > start && (long)wider * (i - start + 1) > _tokens)
            {
                batches.Add((start, i - start));
                (start, longest) = (i, LengthOf(order[i]));
            }
            else
            {
                longest = wider;
            }
        }

        batches.Add((start, order.Length - start));
    }

    protected override Batch Make(ReadOnlySpan<int> examples)
    {
        var (sourceLength, targetLength) = (0, 0);
        foreach (var example in examples)
        {
            sourceLength = Math.Max(sourceLength, _pairs[example].Source.Length);
            targetLength = Math.Max(targetLength, _pairs[example].Target.Length + 1);
        }

        var source = Tensor.Temporary([examples.Length, sourceLength], ElementType.I32);
        var lengths = Tensor.Temporary([examples.Length], ElementType.I32);
        var inputs = Tensor.Temporary([examples.Length, targetLength], ElementType.I32);
        var targets = Tensor.Temporary([examples.Length, targetLength], ElementType.I32);
        source.Ints.Clear(); // padding
        inputs.Ints.Clear();
        targets.Ints.Fill(-1);
        var (sourceTokens, targetTokens) = (0, 0);
        for (var row = 0; row < examples.Length; row++)
        {
            var pair = _pairs[examples[row]];
            pair.Source.CopyTo(source.Ints[(row * sourceLength)..]);
            lengths.Ints[row] = pair.Source.Length;
            inputs.Ints[row * targetLength] = SpecialTokens.Begin;
            pair.Target.CopyTo(inputs.Ints[((row * targetLength) + 1)..]);
            pair.Target.CopyTo(targets.Ints[(row * targetLength)..]);
            targets.Ints[(row * targetLength) + pair.Target.Length] = SpecialTokens.End;
            sourceTokens += pair.Source.Length;
            targetTokens += pair.Target.Length + 1;
        }

        var batch = Batch.Of(inputs, targets, Batch.PositionsFromStart(examples.Length, targetLength));
        (batch.Source, batch.SourceLengths) = (source, lengths);
        (batch.TargetTokens, batch.Tokens) = (targetTokens, sourceTokens + targetTokens);
        return batch;
    }

    protected override int LengthOf(int pair) => Math.Max(_pairs[pair].Source.Length, _pairs[pair].Target.Length + 1);
}
