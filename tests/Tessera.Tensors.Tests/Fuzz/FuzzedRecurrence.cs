namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>LSTM and GRU, one direction or two, with and without lengths, states and biases.</summary>
internal static class FuzzedRecurrence
{
    private const int Multiplications = 60_000;

    private sealed record Sizes(
        int Gates, int Batch, int Length, int Inputs, int Units, int Directions, bool Biases, bool States, bool Reverse, int[]? Lengths,
        int Wanted)
    {
        public long Multiplications => (long)Gates * Batch * Length * Units * (Inputs + Units) * Directions;

        public int WeightCount => Biases ? 4 : 2;
    }

    public static FuzzCase Lstm(Draw draw) => Recurrent(draw, "lstm", 4);

    public static FuzzCase Gru(Draw draw) => Recurrent(draw, "gru", 3);

    private static FuzzCase Recurrent(Draw draw, string name, int gates)
    {
        Sizes s;
        do
        {
            s = new Sizes(
                gates,
                draw.Size(33),
                draw.Size(17),
                draw.Size(65),
                draw.Size(65, 1),
                draw.Between(1, 2),
                draw.Coin,
                draw.Coin,
                draw.Coin,
                null,
                draw.Between(0, gates == 4 ? 2 : 1));
        } while (s.Multiplications > Multiplications);
        if (draw.Coin) s = s with { Lengths = draw.Below(s.Length + 1, s.Batch) };

        List<(Shape, float[])> inputs = [draw.Normal([s.Batch, s.Length, s.Inputs])];
        for (var direction = 0; direction < s.Directions; direction++)
        {
            inputs.Add(draw.Normal([gates * s.Units, s.Inputs], 0.3));
            inputs.Add(draw.Normal([gates * s.Units, s.Units], 0.3));
            if (!s.Biases) continue;
            inputs.Add(draw.Normal([gates * s.Units]));
            inputs.Add(draw.Normal([gates * s.Units]));
        }

        Shape state = s.Directions == 2 ? [2, s.Batch, s.Units] : [s.Batch, s.Units];
        for (var i = 0; s.States && i < gates - 2; i++) inputs.Add(draw.Normal(state));
        var lengths = s.Lengths is null ? "all" : string.Join(",", s.Lengths);
        return FuzzCase.Of(
            $"{name} x {s.Directions}, result {s.Wanted}, reverse {s.Reverse}, lengths {lengths}", t => Operation(s, t),
            t => Equation(s, t), [.. inputs]);
    }

    private static Tensor Operation(Sizes s, Tensor[] t)
    {
        var lengths = s.Lengths is null ? null : FuzzCase.Owned(s.Lengths, [s.Batch]);
        var first = t.AsSpan(1, s.WeightCount);
        var second = t.AsSpan(1 + (s.WeightCount * (s.Directions - 1)), s.WeightCount);
        Tensor? hidden = !s.States ? null : s.Gates == 4 ? t[^2] : t[^1];
        if (s.Gates == 4)
        {
            var cell = s.States ? t[^1] : null;
            static LstmWeights Of(ReadOnlySpan<Tensor> w) => w.Length == 4 ? new(w[0], w[1], w[2], w[3]) : new(w[0], w[1]);
            var lstm = s.Directions == 1
                    ? Op.Lstm(t[0], Of(first), hidden, cell, lengths, s.Reverse)
                    : Op.BidirectionalLstm(t[0], Of(first), Of(second), hidden, cell, lengths);
            return s.Wanted == 0 ? lstm.Outputs : s.Wanted == 1 ? lstm.FinalHidden : lstm.FinalCell;
        }

        static GruWeights For(ReadOnlySpan<Tensor> w) => w.Length == 4 ? new(w[0], w[1], w[2], w[3]) : new(w[0], w[1]);
        var gru = s.Directions == 1
            ? Op.Gru(t[0], For(first), hidden, lengths, s.Reverse) : Op.BidirectionalGru(t[0], For(first), For(second), hidden, lengths);
        return s.Wanted == 0 ? gru.Outputs : gru.FinalHidden;
    }

    private static Real[] Equation(Sizes s, Real[][] t)
    {
        var (batch, length, units) = (s.Batch, s.Length, s.Units);
        var outputs = new Real[batch * length * s.Directions * units];
        var (hidden, cell) = (new Real[s.Directions * batch * units], new Real[s.Directions * batch * units]);
        if (s.States) t[^(s.Gates - 2)].CopyTo(hidden, 0);
        if (s.States && s.Gates == 4) t[^1].CopyTo(cell, 0);
        for (var direction = 0; direction < s.Directions; direction++)
        {
            var weights = t[(1 + (direction * s.WeightCount))..];
            var reverse = s.Directions == 2 ? direction == 1 : s.Reverse;
            for (var row = 0; row < batch; row++)
            {
                var steps = s.Lengths?[row] ?? length;
                var h = hidden.AsSpan(((direction * batch) + row) * units, units);
                for (var step = 0; step < steps; step++)
                {
                    var time = reverse ? steps - 1 - step : step;
                    var x = t[0].AsSpan(((row * length) + time) * s.Inputs, s.Inputs);
                    Step(s, weights, x, h, cell.AsSpan(((direction * batch) + row) * units, units));
                    h.CopyTo(outputs.AsSpan(((((row * length) + time) * s.Directions) + direction) * units));
                }
            }
        }

        return s.Wanted == 0 ? outputs : s.Wanted == 1 ? hidden : cell;
    }

    private static void Step(Sizes s, Real[][] weights, ReadOnlySpan<Real> x, Span<Real> hidden, Span<Real> cell)
    {
        var (units, before) = (s.Units, hidden.ToArray());
        var (fromInput, fromState) = (new Real[s.Gates * units], new Real[s.Gates * units]);
        for (var i = 0; i < fromInput.Length; i++)
        {
            fromInput[i] = Real.Dot(s.Inputs, x, 1, weights[0].AsSpan(i * s.Inputs), 1, s.Biases ? weights[2][i] : 0);
            fromState[i] = Real.Dot(units, before, 1, weights[1].AsSpan(i * units), 1, s.Biases ? weights[3][i] : 0);
        }

        for (var unit = 0; unit < units; unit++)
        {
            Real Sum(int gate) => fromInput[(gate * units) + unit] + fromState[(gate * units) + unit];
            if (s.Gates == 4)
            {
                cell[unit] = (Real.Sigmoid(Sum(1)) * cell[unit]) + (Real.Sigmoid(Sum(0)) * Real.Tanh(Sum(2)));
                hidden[unit] = Real.Sigmoid(Sum(3)) * Real.Tanh(cell[unit]);
                continue;
            }

            var (reset, update) = (Real.Sigmoid(Sum(0)), Real.Sigmoid(Sum(1)));
            var candidate = Real.Tanh(fromInput[(2 * units) + unit] + (reset * fromState[(2 * units) + unit]));
            hidden[unit] = ((1 - update) * candidate) + (update * hidden[unit]);
        }
    }
}
