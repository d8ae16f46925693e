using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>Examples of different lengths in batches of like length, so that little is padding.</summary>
/// <param name="options">Sizes of batches.</param>
internal abstract class SortedDataset(BatchOptions options) : Dataset
{
    /// <summary>Lengths that differ by less than this are mixed anew in each epoch.</summary>
    private const double LengthNoise = 8;

    private double[] _keys = [];

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

    /// <summary>I32 [rows, length] of one value.</summary>
    protected static Tensor Filled(int rows, int length, int value)
    {
        var ids = Tensor.Temporary([rows, length], ElementType.I32);
        ids.Ints.Fill(value);
        return ids;
    }
}
