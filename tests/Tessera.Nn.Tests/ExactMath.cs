namespace Tessera.Nn.Tests;

/// <summary>The equations of the parts in double precision, written plainly: rows of vectors in flat arrays.</summary>
internal static class ExactMath
{
    public static double[] Linear(double[] x, double[] weight, double[]? bias, int inputs)
    {
        var (rows, outputs) = (x.Length / inputs, weight.Length / inputs);
        var y = new double[rows * outputs];
        for (var row = 0; row < rows; row++)
        {
            for (var o = 0; o < outputs; o++)
            {
                var sum = bias?[o] ?? 0;
                for (var i = 0; i < inputs; i++) sum += x[(row * inputs) + i] * weight[(o * inputs) + i];
                y[(row * outputs) + o] = sum;
            }
        }

        return y;
    }

    public static double[] Add(double[] left, double[] right) => [.. left.Zip(right, (l, r) => l + r)];

    public static double[] Softmax(IReadOnlyList<double> scores)
    {
        var largest = scores.Max();
        double[] powers = [.. scores.Select(score => Math.Exp(score - largest))];
        var sum = powers.Sum();
        return [.. powers.Select(power => power / sum)];
    }

    public static double Silu(double x) => x / (1 + Math.Exp(-x));

    public static double Relu(double x) => Math.Max(x, 0);

    public static double[] RmsNorm(double[] x, double[] weight, double epsilon)
    {
        var width = weight.Length;
        var y = new double[x.Length];
        for (var row = 0; row < x.Length; row += width)
        {
            var square = 0.0;
            for (var i = 0; i < width; i++) square += x[row + i] * x[row + i];
            for (var i = 0; i < width; i++) y[row + i] = x[row + i] / Math.Sqrt((square / width) + epsilon) * weight[i];
        }

        return y;
    }

    public static double[] LayerNorm(double[] x, double[] weight, double[]? bias, double epsilon)
    {
        var width = weight.Length;
        var y = new double[x.Length];
        for (var row = 0; row < x.Length; row += width)
        {
            var vector = x[row..(row + width)];
            var mean = vector.Average();
            var variance = vector.Average(value => (value - mean) * (value - mean));
            for (var i = 0; i < width; i++) y[row + i] = ((vector[i] - mean) / Math.Sqrt(variance + epsilon) * weight[i]) + (bias?[i] ?? 0);
        }

        return y;
    }

    /// <summary>Turns each pair of every head by its position times θ^(−2 pair / width).</summary>
    public static double[] Rotate(double[] x, int heads, int width, IReadOnlyList<int> positions, double theta, bool halves)
    {
        var y = (double[])x.Clone();
        for (var vector = 0; vector < x.Length / width; vector++)
        {
            for (var pair = 0; pair < width / 2; pair++)
            {
                var angle = positions[vector / heads] * Math.Pow(theta, -2.0 * pair / width);
                var first = (vector * width) + (halves ? pair : 2 * pair);
                var second = (vector * width) + (halves ? pair + (width / 2) : (2 * pair) + 1);
                y[first] = (x[first] * Math.Cos(angle)) - (x[second] * Math.Sin(angle));
                y[second] = (x[first] * Math.Sin(angle)) + (x[second] * Math.Cos(angle));
            }
        }

        return y;
    }

    /// <summary>softmax(q kᵀ / √width) v for every query over the keys that it sees.</summary>
    public static double[] Attend(
        double[] queries, double[] keys, double[] values, int batch, int heads, int keyHeads, int width, Func<int, int, int, bool> sees) =>
        Attend(queries, keys, values, batch, heads, keyHeads, width, sees, (product, _, _, _) => product / Math.Sqrt(width), null);

    /// <summary>softmax(score(q · k, head, query, key)) v; a sink, one a head, is a further score without a value.</summary>
    public static double[] Attend(
        double[] queries, double[] keys, double[] values, int batch, int heads, int keyHeads, int width, Func<int, int, int, bool> sees,
        Func<double, int, int, int, double> score, double[]? sinks)
    {
        var (length, keyLength) = (queries.Length / (batch * heads * width), keys.Length / (batch * keyHeads * width));
        var y = new double[queries.Length];
        for (var b = 0; b < batch; b++)
        {
            for (var q = 0; q < length; q++)
            {
                var seen = Enumerable.Range(0, keyLength).Where(k => sees(b, q, k)).ToArray();
                if (seen.Length == 0) continue;
                for (var h = 0; h < heads; h++)
                {
                    var query = ((((b * length) + q) * heads) + h) * width;
                    int Key(int k) => ((((b * keyLength) + k) * keyHeads) + (h / (heads / keyHeads))) * width;
                    var head = h;
                    var scores = seen.Select(k =>
                        score(Enumerable.Range(0, width).Sum(i => queries[query + i] * keys[Key(k) + i]), head, q, k)
                    );
                    var weights = Softmax([.. scores, .. sinks is null ? Array.Empty<double>() : [sinks[h]]]);
                    for (var place = 0; place < seen.Length; place++)
                        for (var i = 0; i < width; i++) y[query + i] += weights[place] * values[Key(seen[place]) + i];
                }
            }
        }

        return y;
    }
}
