using Tessera.Tensors.Tests.Ops;

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Operations on rows and on elements.</summary>
internal static class FuzzedRows
{
    public static FuzzCase RmsNorm(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        return FuzzCase.Of(
            "rms norm", t => Op.RmsNorm(t[0], t[1], 0.1f), t => Norm(t[0], t[1], null, centred: false), draw.Normal([rows, width]),
            draw.Normal([width]));
    }

    public static FuzzCase LayerNorm(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var hasBias = draw.Coin;
        return FuzzCase.Of(
            "layer norm",
            t => Op.LayerNorm(t[0], t[1], hasBias ? t[2] : null, 0.1f),
            t => Norm(t[0], t[1], hasBias ? t[2] : null, centred: true),
            [draw.Normal([rows, width]), draw.Normal([width]), .. hasBias ? [draw.Normal([width])] : Array.Empty<(Shape, float[])>()]);
    }

    public static FuzzCase Activate(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var activation = draw.Pick(Enum.GetValues<Activation>());
        return FuzzCase.Of(
            $"{activation}", t => Op.Activate(t[0], activation), t => [.. t[0].Select(x => Of(activation, x))],
            AwayFromZero(draw, [rows, width]));
    }

    public static FuzzCase Gate(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var activation = draw.Pick(Enum.GetValues<Activation>());
        return FuzzCase.Of(
            $"gate of {activation}",
            t => Op.Gate(t[0], t[1], activation),
            t => [.. t[0].Zip(t[1], (gate, up) => Of(activation, gate) * up)],
            AwayFromZero(draw, [rows, width]), draw.Normal([rows, width]));
    }

    public static FuzzCase FeedForward(Draw draw)
    {
        var (rows, width, hidden) = FuzzedProducts.Sizes(draw);
        var isGated = draw.Coin;
        return FuzzCase.Of(
            $"feed-forward, gated: {isGated}",
            t => Op.FeedForward(
                t[0], isGated ? new LinearMap(t[1]) : null, new LinearMap(t[2]), new LinearMap(t[3]), Activation.Silu),
            t =>
            {
                var up = FuzzedProducts.Linear(t[0], t[2], null, rows, width, hidden);
                Real[] layer = isGated
                    ? [.. FuzzedProducts.Linear(t[0], t[1], null, rows, width, hidden).Zip(up, (gate, one) => gate * Real.Sigmoid(gate) * one)]
                    : [.. up.Select(one => one * Real.Sigmoid(one))];
                return FuzzedProducts.Linear(layer, t[3], null, rows, hidden, width);
            },
            draw.Normal([rows, width], 0.3), draw.Normal([hidden, width], 0.3), draw.Normal([hidden, width], 0.3),
            draw.Normal([width, hidden], 0.3));
    }

    public static FuzzCase AddAndScale(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        return FuzzCase.Of(
            "add and scale",
            t => Op.Add(t[0], Op.Scale(Op.Add(t[0], t[1]), 0.7f)),
            t => [.. t[0].Zip(t[1], (left, right) => left + (0.7f * (left + right)))],
            draw.Normal([rows, width]), draw.Normal([rows, width]));
    }

    public static FuzzCase Softmax(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        return FuzzCase.Of(
            "softmax", t => Op.Softmax(t[0]), t => [.. Rows(t[0], width).SelectMany(row => Softmax(row))], draw.Normal([rows, width], 2));
    }

    public static FuzzCase CrossEntropy(Draw draw)
    {
        var (rows, classes) = (draw.Size(385), draw.Size(385, 1));
        var (targets, settings) = Targets(draw, rows, classes);
        return FuzzCase.Of(
            $"cross entropy {settings}", t => Op.CrossEntropy(t[0], FuzzCase.Owned(targets, [rows]), settings),
            t => [CrossEntropy(t[0], classes, targets, settings)], draw.Normal([rows, classes]));
    }

    public static FuzzCase LinearCrossEntropy(Draw draw)
    {
        int rows, width, classes;
        do (rows, width, classes) = FuzzedProducts.Sizes(draw);
        while (classes == 0);
        var (targets, settings) = Targets(draw, rows, classes);
        var cap = draw.Pick(0f, 5f);
        return FuzzCase.Of(
            $"linear cross entropy {settings}, cap {cap}",
            t => Op.LinearCrossEntropy(t[0], t[1], FuzzCase.Owned(targets, [rows]), settings, t[2], cap),
            t => [CrossEntropy(Capped(FuzzedProducts.Linear(t[0], t[1], t[2], rows, width, classes)), classes, targets, settings)],
            draw.Normal([rows, width], 0.3), draw.Normal([classes, width], 0.3), draw.Normal([classes], 0.3));

        Real[] Capped(Real[] logits) => cap == 0 ? logits : [.. logits.Select(logit => cap * Real.Tanh(logit / cap))];
    }

    public static FuzzCase Rotate(Draw draw)
    {
        var (batch, length, heads, pairs) = (draw.Size(3), draw.Size(33), draw.Between(1, 3), draw.Size(65));
        var (width, count, layout) = ((2 * pairs) + draw.Pick(0, 1, 7), draw.Size(33, 1), draw.Pick(Enum.GetValues<RotaryLayout>()));
        var positions = draw.Below(count, batch * length);
        var (cosines, sines) = (draw.Normal([count, pairs]), draw.Normal([count, pairs]));
        return FuzzCase.Of(
            $"rotate {layout} {pairs} pairs", t => Op.Rotate(
                t[0], FuzzCase.Owned(positions, [batch, length]), FuzzCase.Owned(cosines), FuzzCase.Owned(sines), layout),
            t =>
            {
                Real[] y = [.. t[0]];
                for (var row = 0; width > 0 && row < y.Length / width; row++)
                    for (var pair = 0; pair < pairs; pair++)
                    {
                        var at = (positions[row / heads] * pairs) + pair;
                        var (first, second) = layout == RotaryLayout.Halves ? (pair, pair + pairs) : (2 * pair, (2 * pair) + 1);
                        ref var a = ref y[(row * width) + first];
                        ref var b = ref y[(row * width) + second];
                        (a, b) = ((a * cosines.Values[at]) - (b * sines.Values[at]), (b * cosines.Values[at]) + (a * sines.Values[at]));
                    }

                return y;
            },
            draw.Normal([batch, length, heads, width]));
    }

    public static FuzzCase Dropout(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var (rate, random) = (draw.Pick(0, 0.1f, 0.5f, 0.9f), new CounterRandom((ulong)draw.Between(1, 1000)));
        return FuzzCase.Of(
            $"dropout of {rate}", t => Op.Dropout(t[0], rate, random),
            t =>
            {
                // What is dropped is learnt from ones: that it is the share asked for has tests of its own.
                var kept = Op.Dropout(Tensor.From([.. Enumerable.Repeat(1f, rows * width)], [rows, width]), rate, random).ToArray();
                return [.. t[0].Select((x, i) => kept[i] == 0 ? 0 : x / (1 - rate))];
            },
            draw.Normal([rows, width]));
    }

    public static FuzzCase Embedding(Draw draw)
    {
        var (ids, rows, width) = (draw.Size(65), draw.Size(65, 1), draw.Size(385));
        var (chosen, scale) = (draw.Below(rows, ids), draw.Pick(1f, 3f));
        return FuzzCase.Of(
            $"embedding of {ids} ids", t => Op.Embedding(FuzzCase.Owned(chosen, [ids]), t[0], scale),
            t => [.. chosen.SelectMany(id => t[0].Skip(id * width).Take(width).Select(x => x * scale))], draw.Normal([rows, width]));
    }

    public static FuzzCase AddRow(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        return FuzzCase.Of(
            "add row", t => Op.AddRow(t[0], t[1]), t => [.. t[0].Select((x, i) => x + t[1][i % width])], draw.Normal([rows, width]),
            draw.Normal([width]));
    }

    public static FuzzCase MultiplyRow(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        return FuzzCase.Of(
            "multiply row", t => Op.MultiplyRow(t[0], t[1]), t => [.. t[0].Select((x, i) => x * t[1][i % width])],
            draw.Normal([rows, width]), draw.Normal([width]));
    }

    public static FuzzCase NormalizeRows(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var (shape, values) = draw.Normal([rows, width]);
        for (var i = 0; i < values.Length; i++) values[i] = 0.1f + Math.Abs(values[i]);
        return FuzzCase.Of(
            "normalize rows", t => Op.NormalizeRows(t[0]), t => [.. Rows(t[0], width).SelectMany(row =>
            {
                var sum = Real.Sum(row);
                return row.Select(x => x / sum);
            })],
            (shape, values));
    }

    public static FuzzCase Segments(Draw draw)
    {
        var (batch, length, width) = (draw.Size(5), draw.Size(33), draw.Size(129));
        var numbers = draw.Below(3, batch * length);
        for (var i = 0; i < numbers.Length; i++) numbers[i]--;
        return FuzzCase.Of(
            "segments apart and together", t =>
            {
                var plan = SegmentPlan.Of(FuzzCase.Owned(numbers, [batch, length]));
                return plan.Place(Op.Scale(plan.Take(t[0]), 3));
            },
            t => [.. t[0].Select((x, i) => numbers[i / width] < 0 ? 0 : 3 * x)], draw.Normal([batch, length, width]));
    }

    public static FuzzCase Columns(Draw draw)
    {
        var (rows, width) = Sizes(draw);
        var count = draw.Between(0, width);
        var first = draw.Between(0, width - count);
        return FuzzCase.Of(
            $"columns {first} to {first + count}", t => Op.Columns(t[0], first, count),
            t => [.. Rows(t[0], width).SelectMany(row => row.Skip(first).Take(count))], draw.Normal([rows, width]));
    }

    public static FuzzCase Join(Draw draw)
    {
        var (tokens, heads, a, b) = (draw.Size(129), draw.Between(1, 5), draw.Size(129), draw.Size(129));
        var shared = draw.Coin;
        return FuzzCase.Of(
            "join", t => Op.Join(t[0], t[1]),
            t => [.. Enumerable.Range(0, tokens * heads).SelectMany(row =>
                t[0].Skip(row * a).Take(a).Concat(t[1].Skip((shared ? row / heads : row) * b).Take(b)))],
            draw.Normal([tokens, heads, a]), draw.Normal([tokens, shared ? 1 : heads, b]));
    }

    public static Real[] Softmax(Real[] row)
    {
        var greatest = row.Max(x => x.Value);
        Real[] weights = [.. row.Select(x => Real.Exp(x - greatest))];
        var sum = Real.Sum(weights);
        return [.. weights.Select(weight => weight / sum)];
    }

    public static IEnumerable<Real[]> Rows(Real[] x, int width) => width == 0 ? [] : x.Chunk(width);

    public static (int Rows, int Width) Sizes(Draw draw) => draw.Coin ? (draw.Size(33), draw.Size(769)) : (draw.Size(385), draw.Size(65));

    private static (Shape, float[]) AwayFromZero(Draw draw, Shape shape)
    {
        var (_, values) = draw.Normal(shape);
        for (var i = 0; i < values.Length; i++) values[i] += MathF.CopySign(0.01f, values[i]); // ReLU has a corner there
        return (shape, values);
    }

    private static (int[] Targets, CrossEntropySettings Settings) Targets(Draw draw, int rows, int classes) =>
        ([.. draw.Below(classes + 1, rows).Select(target => target == classes ? -1 : target)],
            new CrossEntropySettings(draw.Pick(0f, 0.1f), draw.Pick(0f, 0.01f)));

    private static Real[] Norm(Real[] x, Real[] weight, Real[]? bias, bool centred) => [.. Rows(x, weight.Length).SelectMany(row =>
    {
        var mean = centred ? Real.Sum(row) / row.Length : 0;
        Real[] deviations = [.. row.Select(value => value - mean)];
        var root = Real.Sqrt((Real.Dot(row.Length, deviations, 1, deviations, 1) / row.Length) + 0.1f);
        return deviations.Select((value, i) => (value / root * weight[i]) + (bias is null ? 0 : bias[i]));
    })];

    private static Real CrossEntropy(Real[] logits, int classes, int[] targets, CrossEntropySettings settings)
    {
        Real[] losses = [.. Rows(logits, classes).Zip(targets).Where(row => row.Second >= 0).Select(row =>
        {
            var greatest = row.First.Max(x => x.Value);
            var logSum = greatest + Real.Log(Real.Sum([.. row.First.Select(x => Real.Exp(x - greatest))]));
            return logSum - ((1 - settings.Smoothing) * row.First[row.Second]) - (settings.Smoothing / classes * Real.Sum(row.First))
                + (settings.ZWeight * logSum * logSum);
        })];
        return losses.Length == 0 ? 0 : Real.Sum(losses) / losses.Length;
    }

    private static Real Of(Activation activation, Real x)
    {
        var half = 0.5 * (1 + ActivationTests.ErrorFunction(x.Value / Math.Sqrt(2)));
        return activation switch
        {
            Activation.Silu => x * Real.Sigmoid(x),
            Activation.Gelu => Real.Of(x.Value * half, x, half + (x.Value * Math.Exp(-x.Value * x.Value / 2) / Math.Sqrt(2 * Math.PI))),
            Activation.GeluTanh => 0.5 * x * (1 + Real.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
            Activation.Relu => x.Value <= 0 ? 0 : x,
            Activation.ReluSquared => x.Value <= 0 ? 0 : x * x,
            Activation.Sigmoid => Real.Sigmoid(x),
            Activation.Tanh => Real.Tanh(x),
            _ => throw new ArgumentOutOfRangeException(nameof(activation)),
        };
    }
}
