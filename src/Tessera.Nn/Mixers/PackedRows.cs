using Tessera.Tensors;

namespace Tessera.Nn.Mixers;

/// <summary>Takes rows of packed segments apart, a row each, for what reads a sequence from its beginning, and puts them together again.</summary>
internal readonly struct PackedRows
{
    private readonly Tensor _taken, _placed;

    private PackedRows(Tensor taken, Tensor placed, Tensor lengths) => (_taken, _placed, Lengths) = (taken, placed, lengths);

    /// <summary>I32 [segments]: how long each is.</summary>
    public Tensor Lengths { get; }

    /// <summary>The segments of packed rows.</summary>
    /// <param name="segments">I32 [batch, length]: runs of equal numbers, −1 for padding (<see cref="ForwardContext.Segments"/>).</param>
    public static PackedRows Of(Tensor segments)
    {
        var (count, longest) = Measure(segments);
        var taken = Tensor.Temporary([count, longest], ElementType.I32);
        var placed = Tensor.Temporary(segments.Shape, ElementType.I32);
        var lengths = Tensor.Temporary([count], ElementType.I32);
        var all = segments.Ints;
        var (width, segment) = (segments.Shape[1], -1);
        taken.Ints.Clear();
        placed.Ints.Clear();
        for (var token = 0; token < all.Length; token++)
        {
            if (all[token] < 0) continue;
            if (Begins(all, token, width)) lengths.Ints[++segment] = 0;
            var place = lengths.Ints[segment]++;
            taken.Ints[(segment * longest) + place] = token;
            placed.Ints[token] = (segment * longest) + place;
        }

        return new PackedRows(taken, placed, lengths);
    }

    /// <summary>[batch, length, width] to [segments, longest, width]; what stands beyond a segment's end means nothing.</summary>
    public Tensor Take(Tensor x) => Op.Embedding(_taken, x.Reshape([x.Shape.Rows, x.Shape.Width]));

    /// <summary>[segments, longest, width] to [batch, length, width]; what stands in padding means nothing.</summary>
    public Tensor Place(Tensor y) => Op.Embedding(_placed, y.Reshape([y.Shape.Rows, y.Shape.Width]));

    private static (int Count, int Longest) Measure(Tensor segments)
    {
        var (count, longest, length) = (0, 0, 0);
        var all = segments.Ints;
        for (var token = 0; token < all.Length; token++)
        {
            if (all[token] < 0) continue;
            if (Begins(all, token, segments.Shape[1])) (count, length) = (count + 1, 0);
            longest = Math.Max(longest, ++length);
        }

        return (count, longest);
    }

    private static bool Begins(ReadOnlySpan<int> all, int token, int width) => token % width == 0 || all[token] != all[token - 1];
}
