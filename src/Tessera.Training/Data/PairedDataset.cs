using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>Sources and targets in batches of like length, so that little is padding. Where they come from is for those who derive from
/// this.</summary>
/// <param name="options">Sizes of batches.</param>
internal abstract class PairedDataset(BatchOptions options) : Dataset
{
    /// <summary>Lengths that differ by less than this are mixed anew in each epoch.</summary>
    private const double LengthNoise = 8;

    private double[] _keys = [];

    /// <summary>How many places a target may take.</summary>
    protected int Length { get; private set; } = options.Length;

    /// <summary>How many tokens a source may have.</summary>
    protected int SourceLength { get; private set; } = options.SourceLength;

    /// <summary>How many tokens the source of an example has, and how many places its target takes.</summary>
    protected abstract (int Source, int Target) SizeOf(int example);

    /// <summary>Writes an example.</summary>
    /// <param name="example">Which.</param>
    /// <param name="source">As many tokens as its source has.</param>
    /// <param name="inputs">What the decoder reads at each place of the target.</param>
    /// <param name="targets">What it is to predict there.</param>
    protected abstract void Write(int example, Span<int> source, Span<int> inputs, Span<int> targets);

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if ((length, sourceLength) == (Length, SourceLength)) return false;
        (Length, SourceLength) = (length, sourceLength);
        return true;
    }

    /// <inheritdoc/>
    protected override int LengthOf(int example)
    {
        var (source, target) = SizeOf(example);
        return Math.Max(source, target);
    }

    /// <inheritdoc/>
    protected override void Sort(Span<int> examples, CounterRandom random)
    {
        if (_keys.Length < examples.Length) _keys = new double[examples.Length];
        for (var i = 0; i < examples.Length; i++) _keys[i] = LengthOf(examples[i]) + (LengthNoise * random.Uniform((ulong)examples[i]));
        _keys.AsSpan(0, examples.Length).Sort(examples);
    }

    /// <inheritdoc/>
    protected override void Cut(ReadOnlySpan<int> order, List<(int Start, int Count)> batches)
    {
        var (start, longest) = (0, 0);
        for (var i = 0; i < order.Length; i++)
        {
            var wider = Math.Max(longest, LengthOf(order[i]));
            if (i > start && (long)wider * (i - start + 1) > options.Tokens)
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

    /// <inheritdoc/>
    protected override Batch Make(ReadOnlySpan<int> examples)
    {
        var (sourceLength, targetLength) = (0, 0);
        foreach (var example in examples)
        {
            var size = SizeOf(example);
            (sourceLength, targetLength) = (Math.Max(sourceLength, size.Source), Math.Max(targetLength, size.Target));
        }

        var source = Filled(examples.Length, sourceLength, SpecialTokens.Padding);
        var lengths = Tensor.Temporary([examples.Length], ElementType.I32);
        var inputs = Filled(examples.Length, targetLength, SpecialTokens.Padding);
        var targets = Filled(examples.Length, targetLength, -1);
        var (sourceTokens, targetTokens) = (0, 0);
        for (var row = 0; row < examples.Length; row++)
        {
            var (read, written) = SizeOf(examples[row]);
            Write(
                examples[row], source.Ints.Slice(row * sourceLength, read), inputs.Ints.Slice(row * targetLength, written),
                targets.Ints.Slice(row * targetLength, written));
            lengths.Ints[row] = read;
            sourceTokens += read;
            targetTokens += written;
        }

        var batch = Batch.Of(inputs, targets, Batch.PositionsFromStart(examples.Length, targetLength));
        (batch.Source, batch.SourceLengths) = (source, lengths);
        (batch.TargetTokens, batch.Tokens) = (targetTokens, sourceTokens + targetTokens);
        return batch;
    }

    private static Tensor Filled(int rows, int length, int value)
    {
        var ids = Tensor.Temporary([rows, length], ElementType.I32);
        ids.Ints.Fill(value);
        return ids;
    }
}
