using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>Rows of one text each, padded at the end, as models read them whole. Where they come from, and what is to be said of them, is
/// for those who derive from this.</summary>
/// <param name="options">Sizes of batches.</param>
internal abstract class RowDataset(BatchOptions options) : SortedDataset(options)
{
    /// <summary>How many tokens a row may have.</summary>
    protected int Length { get; private set; } = options.Length;

    /// <summary>How many tokens the row of an example has.</summary>
    protected abstract int TokensOf(int example);

    /// <summary>The targets of a batch, with nothing to predict anywhere.</summary>
    protected virtual Tensor NoTargets(int rows, int length) => Filled(rows, length, -1);

    /// <summary>Writes an example.</summary>
    /// <param name="example">Which.</param>
    /// <param name="row">Which row of the batch it becomes.</param>
    /// <param name="inputs">As many tokens as it has.</param>
    /// <param name="targets">Those of the batch.</param>
    /// <returns>How many of them are to be predicted in this row.</returns>
    protected abstract int Write(int example, int row, Span<int> inputs, Tensor targets);

    /// <inheritdoc/>
    protected override int LengthOf(int example) => TokensOf(example);

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (length == Length) return false;
        Length = length;
        return true;
    }

    /// <inheritdoc/>
    protected override Batch Make(ReadOnlySpan<int> examples)
    {
        var length = 0;
        foreach (var example in examples) length = Math.Max(length, TokensOf(example));
        var (inputs, targets) = (Filled(examples.Length, length, SpecialTokens.Padding), NoTargets(examples.Length, length));
        var lengths = Tensor.Temporary([examples.Length], ElementType.I32);
        var (tokens, predicted) = (0, 0);
        for (var row = 0; row < examples.Length; row++)
        {
            var count = TokensOf(examples[row]);
            lengths.Ints[row] = count;
            tokens += count;
            predicted += Write(examples[row], row, inputs.Ints.Slice(row * length, count), targets);
        }

        var batch = Batch.Of(inputs, targets, Batch.PositionsFromStart(examples.Length, length));
        (batch.Lengths, batch.TargetTokens, batch.Tokens) = (lengths, predicted, tokens);
        return batch;
    }
}
