using Tessera.Nn;

namespace OwnMixer.Tests;

/// <summary>The equation of <see cref="MinGru"/>, token by token in double precision, and a cross-entropy of what it gives.</summary>
internal sealed class MinGruEquation(int width, int hidden)
{
    /// <summary>A mixer's numbers by their names, and its input under <c>x</c>.</summary>
    public static Dictionary<string, double[]> Numbers(Module mixer, float[] x)
    {
        var numbers = mixer.Parameters().ToDictionary(
            own => own.Name, own => Array.ConvertAll(own.Parameter.Value.ToArray(), value => (double)value));
        numbers["x"] = Array.ConvertAll(x, value => (double)value);
        return numbers;
    }

    /// <summary>[length, width] of one sequence.</summary>
    /// <param name="of">See <see cref="Numbers"/>.</param>
    /// <param name="first">Its first token among those of x.</param>
    /// <param name="length">How many tokens it has.</param>
    public double[] Outputs(Dictionary<string, double[]> of, int first, int length)
    {
        var (state, outputs) = (new double[hidden], new double[length * width]);
        for (var token = 0; token < length; token++)
        {
            var x = of["x"].AsSpan((first + token) * width, width).ToArray();
            for (var unit = 0; unit < hidden; unit++)
            {
                var z = 1 / (1 + Math.Exp(-(Dot(of["z_proj.weight"], unit, x) + of["z_proj.bias"][unit])));
                state[unit] = ((1 - z) * state[unit]) + (z * Dot(of["h_proj.weight"], unit, x));
            }

            for (var column = 0; column < width; column++) outputs[(token * width) + column] = Dot(of["o_proj.weight"], column, state);
        }

        return outputs;
    }

    /// <summary>The mean negative log-likelihood of a class for each token, outputs taken as logits.</summary>
    public double Loss(Dictionary<string, double[]> of, int rows, int length, int[] classes)
    {
        var sum = 0.0;
        for (var row = 0; row < rows; row++)
        {
            var outputs = Outputs(of, row * length, length);
            for (var token = 0; token < length; token++)
            {
                var logits = outputs.AsSpan(token * width, width).ToArray();
                sum += Math.Log(logits.Sum(Math.Exp)) - logits[classes[(row * length) + token]];
            }
        }

        return sum / (rows * length);
    }

    /// <summary>The loss's gradient to some numbers, by central differences.</summary>
    public double[] Slopes(Dictionary<string, double[]> of, string name, int rows, int length, int[] classes)
    {
        const double Step = 1e-5;
        var values = of[name];
        return [.. values.Select((value, index) =>
        {
            values[index] = value + Step;
            var above = Loss(of, rows, length, classes);
            values[index] = value - Step;
            var below = Loss(of, rows, length, classes);
            values[index] = value;
            return (above - below) / (2 * Step);
        })];
    }

    private static double Dot(double[] matrix, int row, double[] vector) =>
        vector.Select((value, column) => matrix[(row * vector.Length) + column] * value).Sum();
}
