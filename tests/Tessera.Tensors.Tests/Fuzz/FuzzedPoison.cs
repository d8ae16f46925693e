namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>
/// One NaN or infinity in one row: it must be seen in what is made of that row (no kernel hides it) and nowhere else, down to
/// the bits (no kernel lets lanes, tiles or scratch memory carry it over).
/// </summary>
internal static class FuzzedPoison
{
    private const int Tile = 64;

    public static FuzzCase Rows(Draw draw)
    {
        var (rows, inputs, outputs) = (draw.Size(65, 1), draw.Size(129, 1), draw.Size(129, 1));
        var (operation, spoilt, bad) = (draw.Between(0, 9), draw.Between(0, rows - 1), draw.Pick(float.NaN, float.PositiveInfinity, float.NegativeInfinity));
        var place = (spoilt * inputs) + draw.Between(0, inputs - 1);
        var (weight, up, scale) = (draw.Normal([outputs, inputs]), draw.Normal([rows, inputs]), draw.Normal([inputs]));
        var split = draw.Between(0, rows);
        var (name, run) = operation switch
        {
            0 or 1 => ("linear", (Func<Tensor, Tensor>)(x => Op.Linear(x, FuzzCase.Owned(weight)))),
            2 => ("grouped linear", x => Op.GroupedLinear(x, FuzzCase.Owned(weight).Reshape([1, outputs, inputs]), FuzzCase.Owned([0, rows], [2]))),
            3 => ("rms norm", x => Op.RmsNorm(x, FuzzCase.Owned(scale), 1e-5f)),
            4 => ("layer norm", x => Op.LayerNorm(x, FuzzCase.Owned(scale), null, 1e-5f)),
            5 => ("gate", x => Op.Gate(x, FuzzCase.Owned(up), Activation.Silu)),
            6 => ("gate's other side", x => Op.Gate(FuzzCase.Owned(up), x, Activation.Gelu)),
            7 => ("add", x => Op.Add(x, FuzzCase.Owned(up))),
            8 => ("scale groups", x => Op.ScaleGroups(x, Ones(rows), 1)),
            _ => ("two groups", x => Op.GroupedLinear(x, Twice(weight, outputs, inputs), FuzzCase.Owned([0, split, rows], [3]))),
        };
        if (operation == 5 && float.IsNegativeInfinity(bad)) bad = float.NaN; // silu(−∞) is 0
        return new FuzzCase($"{bad} at {place} of {name} [{rows}, {inputs}] to {outputs}", _ =>
        {
            using var scope = Arena.Current.Scope();
            var (shape, values) = OperationCheck.Random([rows, inputs], 5);
            var upstream = OperationCheck.Random(run(Tensor.From(values, shape)).Shape, 6).Values;
            var (y, dx) = Evaluate(run, shape, values, upstream);

            var spoiltValues = values.ToArray();
            spoiltValues[place] = bad;
            RequireOnly(spoilt, y, Evaluate(run, shape, spoiltValues, upstream).Y, rows);

            var spoiltUpstream = upstream.ToArray();
            spoiltUpstream[spoilt * (upstream.Length / rows)] = bad;
            RequireOnly(spoilt, dx, Evaluate(run, shape, values, spoiltUpstream).Dx, rows);
        });
    }

    /// <summary>A NaN in the query of one head spoils that head's row; one in a key or value the rows that see it, and one in a value
    /// perhaps also other rows of a tile that is visited for them.</summary>
    public static FuzzCase Attention(Draw draw)
    {
        var (length, heads, width, window) = (draw.Size(129, 1), draw.Between(1, 3), draw.Size(65, 1), draw.Between(1, 80));
        var (which, position, head) = (draw.Between(0, 2), draw.Between(0, length - 1), draw.Between(0, heads - 1));
        var inputs = Enumerable.Range(0, 3).Select(_ => draw.Normal([2, length, heads, width])).ToArray();
        return new FuzzCase($"NaN in {"query,key,value".Split(',')[which]} {position} of {length}, head {head} of {heads}, width {width}, window {window}", _ =>
        {
            using var scope = Arena.Current.Scope();
            var mask = BlockMask.Causal(length, length).Within(window);
            var clean = Op.Attention(FuzzCase.Owned(inputs[0]), FuzzCase.Owned(inputs[1]), FuzzCase.Owned(inputs[2]), mask).ToArray();
            var tensors = inputs.Select(FuzzCase.Owned).ToArray();
            tensors[which].Floats[(((length + position) * heads) + head) * width] = float.NaN; // in batch row 1
            var found = Op.Attention(tensors[0], tensors[1], tensors[2], mask).ToArray();
            for (var at = 0; at < found.Length; at++)
            {
                var (b, i, h, e) = (at / (length * heads * width), at / (heads * width) % length, at / width % heads, at % width);
                var spoilt = b == 1 && h == head && (which == 0 ? i == position : mask.Allows(1, h, i, position)) && (which != 2 || e == 0);
                if (spoilt) Assert.True(float.IsNaN(found[at]), $"({b}, {i}, {h}, {e}) is {found[at]}");
                else if (which == 2 && b == 1 && h == head && e == 0 && float.IsNaN(found[at]))
                    Assert.True(Visited(mask, h, i / Tile * Tile, position / Tile * Tile), $"({b}, {i}, {h}, {e}) is NaN");
                else Assert.True(found[at].Equals(clean[at]), $"({b}, {i}, {h}, {e}) is {found[at]}, was {clean[at]}");
            }
        });
    }

    /// <summary>A NaN at one step of one sequence spoils that sequence from there on.</summary>
    public static FuzzCase Recurrence(Draw draw)
    {
        var (batch, length, inputs, units) = (draw.Size(33, 1), draw.Size(9, 1), draw.Size(17, 1), draw.Size(33, 1));
        var (row, step, isLstm) = (draw.Between(0, batch - 1), draw.Between(0, length - 1), draw.Coin);
        var gates = isLstm ? 4 : 3;
        var (x, input, recurrent) = (
            draw.Normal([batch, length, inputs]), draw.Normal([gates * units, inputs], 0.3), draw.Normal([gates * units, units], 0.3));
        return new FuzzCase($"NaN at step {step} of row {row} of {(isLstm ? "lstm" : "gru")} {x.Shape}, {units} units", _ =>
        {
            using var scope = Arena.Current.Scope();
            Tensor Run(Tensor x) => isLstm
                ? Op.Lstm(x, new LstmWeights(FuzzCase.Owned(input), FuzzCase.Owned(recurrent))).Outputs
                : Op.Gru(x, new GruWeights(FuzzCase.Owned(input), FuzzCase.Owned(recurrent))).Outputs;
            var clean = Run(FuzzCase.Owned(x)).ToArray();
            var tensor = FuzzCase.Owned(x);
            tensor.Floats[((row * length) + step) * inputs] = float.NaN;
            var found = Run(tensor).ToArray();
            for (var at = 0; at < found.Length; at++)
            {
                var spoilt = at / (length * units) == row && at / units % length >= step;
                Assert.True(spoilt ? float.IsNaN(found[at]) : found[at].Equals(clean[at]), $"element {at} is {found[at]}, was {clean[at]}");
            }
        });
    }

    private static bool Visited(BlockMask mask, int head, int firstQuery, int firstKey)
    {
        var (queries, keys) = (Math.Min(Tile, mask.Queries - firstQuery), Math.Min(Tile, mask.Keys - firstKey));
        return mask.Tile(1, head, firstQuery, queries, firstKey, keys) != Coverage.None;
    }

    private static (float[] Y, float[] Dx) Evaluate(Func<Tensor, Tensor> run, Shape shape, float[] values, float[] upstream)
    {
        using var tape = Tape.Record();
        var x = FuzzCase.Owned((shape, values)).WithGradient();
        var y = run(x);
        tape.Backward(y, upstream);
        return (y.ToArray(), x.Gradient.ToArray());
    }

    private static void RequireOnly(int spoilt, float[] clean, float[] found, int rows)
    {
        var width = found.Length / rows;
        Assert.Contains(found[(spoilt * width)..((spoilt + 1) * width)], value => !float.IsFinite(value));
        for (var i = 0; i < found.Length; i++)
            if (i / width != spoilt) Assert.True(clean[i].Equals(found[i]), $"({i / width}, {i % width}) is {found[i]}, was {clean[i]}");
    }

    private static Tensor Ones(int rows)
    {
        var ones = Tensor.Allocate([rows, 1]);
        ones.Floats.Fill(1);
        return ones;
    }

    private static Tensor Twice((Shape Shape, float[] Values) weight, int outputs, int inputs) =>
        FuzzCase.Owned((new Shape(2, outputs, inputs), [.. weight.Values, .. weight.Values]));
}
