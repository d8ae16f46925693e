namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Attention under every mask, with grouped heads, caches, biases, sinks and cap.</summary>
internal static class FuzzedAttention
{
    private const int Multiplications = 120_000;

    /// <summary>The gradient of a slope multiplies what rounding leaves by the distance; this brings it back to the others' size.</summary>
    private const float SlopeScale = 0.02f;

    private static readonly string[] s_masks =
    [
        "full", "causal", "causal lengths", "within", "around", "dilated", "strided", "sparse transformer", "chunked", "prefix", "lengths",
        "global", "segments", "table", "per head", "blocks", "random blocks", "nothing",
    ];

    private static readonly string[] s_biases = ["", "dense", "linear", "buckets", "buckets of both sides", "relative"];

    private sealed record Sizes(
        int Batch, int Queries, int Keys, int Capacity, int Heads, int KeyHeads, int Width, int ValueWidth, float Cap, string Bias,
        bool Sinks)
    {
        public long Multiplications => (long)Batch * Heads * Queries * Keys * (Width + ValueWidth);

        /// <summary>How many distances have a position key, and the first of them.</summary>
        public (int Count, int First) Distances => (1 + (Keys / 2), -(Keys / 5));

        public int PositionWidth => 1 + (ValueWidth / 2);

        public int Key(int b, int h, int j, int width) => ((((b * Capacity) + j) * KeyHeads) + (h * KeyHeads / Heads)) * width;
    }

    public static FuzzCase Attention(Draw draw)
    {
        Sizes s;
        do
        {
            var (keyHeads, keys) = (draw.Between(1, 3), draw.Size(257));
            s = new Sizes(
                draw.Between(0, 3),
                draw.Size(129),
                keys,
                keys + draw.Pick(0, 0, 1, 7),
                keyHeads * draw.Between(1, 3),
                keyHeads,
                draw.Size(129, 1),
                draw.Size(129, 1), draw.Coin ? 0 : 3, draw.Pick<string>(s_biases), draw.Coin);
        } while (s.Multiplications > Multiplications);

        var name = draw.Pick<string>(s_masks);
        var lengths = draw.Below(s.Keys + 1, s.Batch);
        var mask = Mask(name, draw, s, lengths);
        int Distance(int b, int i, int j) => i - s.Queries + (name == "causal lengths" ? lengths[b] : s.Keys) - j;
        List<(Shape, float[])> inputs =
        [
            draw.Normal([s.Batch, s.Queries, s.Heads, s.Width]), Cache(draw, s, s.Width), Cache(draw, s, s.ValueWidth),
        ];
        if (s.Sinks) inputs.Add(draw.Normal([s.Heads]));
        var bias = inputs.Count;
        inputs.AddRange(s.Bias switch
        {
            "dense" => [draw.Normal([s.Heads, s.Queries, s.Keys])],
            "linear" => [draw.Normal([s.Heads])],
            "buckets" or "buckets of both sides" => [draw.Normal([draw.Between(4, 40), s.Heads])],
            "relative" =>
            [
                draw.Normal([s.Batch, s.Queries, s.Heads, s.PositionWidth]), draw.Normal([s.Distances.Count, s.Heads, s.PositionWidth]),
            ],
            _ => (ReadOnlySpan<(Shape, float[])>)[],
        });
        return FuzzCase.Of(
            $"attention, mask {name}, {s.Keys} keys, cap {s.Cap}, sinks {s.Sinks}, bias '{s.Bias}'",
            t => Op.Attention(t[0], t[1], t[2], mask(), new AttentionSettings
            {
                Scale = 0.4f, SoftCap = s.Cap, Sinks = s.Sinks ? t[3] : null, Bias = Bias(s, t.AsSpan(bias)),
                Entropy = Tensor.Temporary([s.Batch, s.Heads, s.Queries]),
            }),
            t => Equation(s, mask(), t, (b, h, i, j) => Bias(s, t[bias..], b, h, i, j, Distance(b, i, j))), [.. inputs]) with
        {
            // A gradient is a sum of p (dp − Σ p dp), which cancels where a query sees few keys.
            Tolerance = 4 * FuzzCase.ToleranceF32,
        };
    }

    /// <summary>Keys or values; what a cache has room for beyond those that count is not a number.</summary>
    private static (Shape, float[]) Cache(Draw draw, Sizes s, int width)
    {
        var (shape, values) = draw.Normal([s.Batch, s.Capacity, s.KeyHeads, width]);
        for (var i = 0; i < values.Length; i++)
            if (i / (s.KeyHeads * width) % s.Capacity >= s.Keys) values[i] = float.NaN;
        return (shape, values);
    }

    private static ScoreBias? Bias(Sizes s, ReadOnlySpan<Tensor> t) => s.Bias switch
    {
        "dense" => ScoreBias.Dense(t[0]),
        "linear" => ScoreBias.Linear(Op.Scale(t[0], SlopeScale)),
        "buckets" or "buckets of both sides" => ScoreBias.Buckets(t[0], 40, s.Bias != "buckets"),
        "relative" => ScoreBias.Relative(t[0], t[1], s.Distances.First, 0.3f),
        _ => null,
    };

    private static Real Bias(Sizes s, Real[][] t, int b, int h, int i, int j, int distance)
    {
        switch (s.Bias)
        {
            case "dense": return t[0][(((h * s.Queries) + i) * s.Keys) + j];
            case "linear": return -SlopeScale * Math.Abs(distance) * t[0][h];
            case "relative":
                var row = Math.Clamp(distance - s.Distances.First, 0, s.Distances.Count - 1);
                var query = (((((b * s.Queries) + i) * s.Heads) + h) * s.PositionWidth);
                return 0.3f * Real.Dot(s.PositionWidth, t[0].AsSpan(query), 1, t[1].AsSpan(((row * s.Heads) + h) * s.PositionWidth), 1);
            default: return t[0][(Ops.BiasEquation.Bucket(-distance, t[0].Length / s.Heads, 40, s.Bias != "buckets") * s.Heads) + h];
        }
    }

    private static Real[] Equation(Sizes s, BlockMask mask, Real[][] t, Func<int, int, int, int, Real> bias)
    {
        var y = new Real[s.Batch * s.Queries * s.Heads * s.ValueWidth];
        for (var b = 0; b < s.Batch; b++)
            for (var h = 0; h < s.Heads; h++)
                for (var i = 0; i < s.Queries; i++)
                {
                    var row = (((b * s.Queries) + i) * s.Heads) + h;
                    Row(s, mask, t, bias, b, h, i, row).CopyTo(y, row * s.ValueWidth);
                }

        return y;
    }

    private static Real[] Row(Sizes s, BlockMask mask, Real[][] t, Func<int, int, int, int, Real> bias, int b, int h, int i, int row)
    {
        int[] seen = [.. Enumerable.Range(0, s.Keys).Where(j => mask.Allows(b, h, i, j))];
        var scores = seen.Select(j =>
        {
            var score = 0.4f * Real.Dot(s.Width, t[0].AsSpan(row * s.Width), 1, t[1].AsSpan(s.Key(b, h, j, s.Width)), 1);
            if (s.Cap > 0) score = s.Cap * Real.Tanh(score / s.Cap);
            return s.Bias.Length > 0 ? score + bias(b, h, i, j) : score;
        }).ToList();
        if (seen.Length == 0) return new Real[s.ValueWidth];
        if (s.Sinks) scores.Add(t[3][h]);

        var greatest = scores.Max(score => score.Value);
        Real[] weights = [.. scores.Select(score => Real.Exp(score - greatest))];
        var sum = Real.Sum(weights);
        var y = new Real[s.ValueWidth];
        for (var e = 0; e < y.Length; e++)
        {
            Real[] values = [.. seen.Select(j => t[2][s.Key(b, h, j, s.ValueWidth) + e])];
            y[e] = Real.Dot(seen.Length, weights, 1, values, 1) / sum;
        }

        return y;
    }

    private static Func<BlockMask> Mask(string name, Draw draw, Sizes s, int[] lengths)
    {
        var (first, second, coin) = (draw.Between(1, 70), draw.Between(1, 9), draw.Coin);
        int[] Marks(int min, int limit, params ReadOnlySpan<int> sizes)
        {
            var count = 1;
            foreach (var size in sizes) count *= size;
            return [.. draw.Below(limit - min, count).Select(value => value + min)];
        }

        var (querySegments, keySegments) = (Marks(-1, 3, s.Batch, s.Queries), Marks(-1, 3, s.Batch, s.Capacity));
        Shape tableShape = [coin ? 1 : s.Batch, coin ? s.Heads : 1, s.Queries, s.Keys];
        var table = Marks(0, 2, tableShape.AsSpan());
        var block = draw.Pick(1, 3, 16, 64);
        Shape chosenShape = [coin ? Math.Max(1, s.Batch) : 1, coin ? 1 : s.Heads, (s.Queries + second - 1) / second, draw.Between(1, 3)];
        var chosen = Marks(-1, (s.Keys + block - 1) / block, chosenShape.AsSpan());
        var random = new CounterRandom((ulong)first);
        return () =>
        {
            var (full, causal) = (BlockMask.Full(s.Queries, s.Keys), BlockMask.Causal(s.Queries, s.Keys));
            return name switch
            {
                "full" => full,
                "causal" => causal,
                "causal lengths" => BlockMask.Causal(s.Queries, s.Keys, lengths),
                "within" => causal.Within(first),
                "around" => full.Around(first),
                "dilated" => causal.Dilated(second, second),
                "strided" => causal.Strided(second),
                "sparse transformer" => causal.Within(second).Or(causal.Strided(second)),
                "chunked" => causal.Chunked(first),
                "prefix" => causal.Or(full.Prefix(first)),
                "lengths" => full.Lengths(lengths),
                "global" => causal.Within(second).Or(causal.Global(second)),
                "segments" => causal.Segments(
                    FuzzCase.Owned(querySegments, [s.Batch, s.Queries]), FuzzCase.Owned(keySegments, [s.Batch, s.Capacity])),
                "table" => BlockMask.Table(FuzzCase.Owned(table, tableShape)),
                "per head" => BlockMask.PerHead([
                    .. Enumerable.Range(0, s.Heads).Select(head => head % 2 == 0 ? causal : full.Around(first))]),
                "blocks" => causal.Blocks(FuzzCase.Owned(chosen, chosenShape), block, second),
                "random blocks" => causal.Within(second).Or(causal.RandomBlocks(s.Heads, block, 2, random)),
                "nothing" => full.Prefix(0),
                _ => throw new InvalidOperationException(name),
            };
        };
    }
}
