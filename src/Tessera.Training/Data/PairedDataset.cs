using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>Sources and targets in batches of like length, so that little is padding. Where they come from is for those who derive from
/// this.</summary>
/// <param name="options">Sizes of batches.</param>
internal abstract class PairedDataset(BatchOptions options) : SortedDataset(options)
{
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
}
