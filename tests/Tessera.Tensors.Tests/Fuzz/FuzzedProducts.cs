using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Matrix products and what is made of them.</summary>
internal static class FuzzedProducts
{
    private const int Multiplications = 120_000;

    public static FuzzCase Linear(Draw draw)
    {
        var (rows, inputs, outputs) = Sizes(draw);
        var hasBias = draw.Coin;
        var x = draw.Normal(rows % 3 == 0 && draw.Coin ? [3, rows / 3, inputs] : [rows, inputs]);
        (Shape, float[])[] given =
        [
            x, draw.Normal([outputs, inputs]), .. hasBias ? [draw.Normal([outputs])] : Array.Empty<(Shape, float[])>()];
        return FuzzCase.Of(
            "linear", t => Op.Linear(t[0], t[1], hasBias ? t[2] : null),
            t => Linear(t[0], t[1], hasBias ? t[2] : null, rows, inputs, outputs), given);
    }

    public static Real[] Linear(Real[] x, Real[] weight, Real[]? bias, int rows, int inputs, int outputs)
    {
        var y = new Real[rows * outputs];
        for (var row = 0; row < rows; row++)
            for (var output = 0; output < outputs; output++)
                y[(row * outputs) + output] = Real.Dot(
                    inputs, x.AsSpan(row * inputs), 1, weight.AsSpan(output * inputs), 1, bias is null ? 0 : bias[output]);
        return y;
    }

    /// <summary>A linear map whose weight has inputs as rows.</summary>
    public static FuzzCase Turned(Draw draw)
    {
        var (rows, inputs, outputs) = Sizes(draw);
        return FuzzCase.Of(
            "product", t => Op.Product(t[0], t[1]),
            t => [.. Enumerable.Range(0, rows * outputs).Select(i =>
                Real.Dot(inputs, t[0].AsSpan(i / outputs * inputs), 1, t[1].AsSpan(Math.Min(i % outputs, t[1].Length)), outputs))],
            draw.Normal([rows, inputs]), draw.Normal([inputs, outputs]));
    }

    public static FuzzCase GroupedLinear(Draw draw)
    {
        var (rows, inputs, outputs) = Sizes(draw);
        var groups = draw.Pick(1, 2, 3, 7, 16);
        int[] offsets = [0, .. Enumerable.Range(0, groups).Select(_ => draw.Between(0, rows)).Order()];
        return FuzzCase.Of(
            $"grouped linear at {string.Join(",", offsets)}",
            t => Op.GroupedLinear(t[0], t[1], FuzzCase.Owned(offsets, [groups + 1])),
            t =>
            {
                var y = new Real[rows * outputs];
                for (var group = 0; group < groups; group++)
                {
                    var (from, count) = (offsets[group], offsets[group + 1] - offsets[group]);
                    Linear(t[0][(from * inputs)..], t[1][(group * outputs * inputs)..], null, count, inputs, outputs)
                        .CopyTo(y, from * outputs);
                }

                return y;
            },
            draw.Normal([rows, inputs]), draw.Normal([groups, outputs, inputs]));
    }

    public static FuzzCase HeadLinear(Draw draw)
    {
        var (tokens, heads, inputs, count) = (draw.Size(33), draw.Between(1, 4), draw.Size(129), draw.Size(33));
        var (first, rows, transposed) = (draw.Between(0, 2), count + draw.Between(2, 4), draw.Coin);
        var (x, weight) = (draw.Normal([tokens, heads, transposed ? inputs : count]), draw.Normal([heads * rows, inputs]));
        var (width, outputs) = transposed ? (inputs, count) : (count, inputs);
        return new FuzzCase($"head linear of {x.Shape} with rows {first} to {first + count} of {rows}, transposed {transposed}", one =>
        {
            using var scope = Arena.Current.Scope();
            var found = Op.HeadLinear(FuzzCase.Owned(x), FuzzCase.Owned(weight), first, count, transposed).ToArray();
            var expected = new double[tokens * heads * outputs];
            for (var i = 0; i < expected.Length; i++)
            {
                var (row, head, output) = (i / outputs, i / outputs % heads, i % outputs);
                for (var k = 0; k < width; k++)
                {
                    var (line, column) = transposed ? (output, k) : (k, output);
                    expected[i] += (double)x.Values[(row * width) + k] * weight.Values[(((head * rows) + first + line) * inputs) + column];
                }
            }

            OperationCheck.Compare("value", expected, found, one.Tolerance);
        });
    }

    /// <summary>A product of matrices with gaps between their rows, in either layout; the gaps of the result must stay.</summary>
    public static FuzzCase Product(Draw draw)
    {
        var (m, k, n) = Sizes(draw);
        var (transposeA, transposeB, accumulate, hasBias) = (draw.Coin, draw.Coin, draw.Coin, draw.Coin);
        var (gapA, gapB, gapC) = (draw.Pick(0, 1, 16), draw.Pick(0, 3, 5), draw.Pick(0, 1, 8));
        var (a, b) = (Lines(draw, m, k, transposeA, gapA), Lines(draw, k, n, transposeB, gapB));
        var (c, bias) = (Lines(draw, m, n, false, gapC), draw.Normal([n]));
        var name =
            $"product {m} x {k} x {n}, transposed {transposeA} {transposeB}, gaps {gapA} {gapB} {gapC}, accumulate {accumulate}, bias {hasBias}";
        return new FuzzCase(name, one =>
        {
            using var scope = Arena.Current.Scope();
            var (left, right, found, added) = (FuzzCase.Owned(a), FuzzCase.Owned(b), FuzzCase.Owned(c), FuzzCase.Owned(bias));
            MatrixProduct.Multiply(
                Matrix(left, m, k, transposeA, gapA), Matrix(right, k, n, transposeB, gapB), found.Floats, accumulate, n + gapC,
                hasBias ? added.Floats : default);
            GC.KeepAlive((left, right, added)); // spans do not
            var expected = c.Values.Select(value => (double)value).ToArray();
            for (var i = 0; i < m; i++)
                for (var j = 0; j < n; j++)
                {
                    ref var sum = ref expected[(i * (n + gapC)) + j];
                    sum = (accumulate ? sum : 0) + (hasBias ? bias.Values[j] : 0);
                    for (var l = 0; l < k; l++)
                        sum += (double)a.Values[At(i, l, m, k, transposeA, gapA)] * b.Values[At(l, j, k, n, transposeB, gapB)];
                }

            OperationCheck.Compare("product", expected, found.ToArray(), one.Tolerance);
            for (var i = 0; i < expected.Length; i++)
                if (i % (n + gapC) >= n) Assert.Equal(c.Values[i], found.Floats[i]);
        });
    }

    public static (int Rows, int Inputs, int Outputs) Sizes(Draw draw)
    {
        var max = draw.Between(0, 15) == 0 ? 20 * Multiplications : Multiplications; // some that are cut into several blocks
        while (true)
        {
            var sizes = (draw.Size(769), draw.Size(769), draw.Size(769));
            if ((long)sizes.Item1 * sizes.Item2 * sizes.Item3 <= max) return sizes;
        }
    }

    private static (Shape Shape, float[] Values) Lines(Draw draw, int rows, int columns, bool transposed, int gap)
    {
        var (lines, length) = transposed ? (columns, rows) : (rows, columns);
        return draw.Normal([lines == 0 || length == 0 ? 0 : (lines * (length + gap)) - gap]);
    }

    private static int At(int row, int column, int rows, int columns, bool transposed, int gap) =>
        transposed ? (column * (rows + gap)) + row : (row * (columns + gap)) + column;

    private static Matrix Matrix(Tensor lines, int rows, int columns, bool transposed, int gap) =>
        transposed ? new Matrix(lines.Floats, columns, rows, rows + gap).T : new Matrix(lines.Floats, rows, columns, columns + gap);
}
