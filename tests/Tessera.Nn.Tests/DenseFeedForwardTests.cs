using Tessera.Nn.FeedForward;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class DenseFeedForwardTests
{
    private const int Width = 6;
    private const int Hidden = 5;

    public static TheoryData<DenseOptions> Kinds => [new SwiGluOptions(Hidden), new GeGluOptions(Hidden), new GeluOptions(Hidden), new ReluOptions(Hidden)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Each_kind_is_its_equation(DenseOptions options)
    {
        var part = options.Build(PartCheck.Builder(Width));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(2, 3)),
            exact =>
            {
                var up = ExactMath.Linear(exact["x"], exact["up_proj.weight"], null, Width);
                if (options is SwiGluOptions or GeGluOptions)
                {
                    var gate = ExactMath.Linear(exact["x"], exact["gate_proj.weight"], null, Width);
                    up = [.. gate.Zip(up, (g, u) => (options is SwiGluOptions ? ExactMath.Silu(g) : Gelu(g)) * u)];
                }
                else
                {
                    up = [.. up.Select(value => options is ReluOptions ? ExactMath.Relu(value) : Gelu(value))];
                }

                return ExactMath.Linear(up, exact["down_proj.weight"], null, Hidden);
            },
            5e-6, null, ("x", [2, 3, Width]));
    }

    /// <summary>x Φ(x), the normal distribution's Φ from the series of its error function.</summary>
    private static double Gelu(double x)
    {
        var z = x / Math.Sqrt(2);
        var (term, sum) = (z, z);
        for (var n = 1; n < 200; n++)
        {
            term *= -z * z / n;
            sum += term / ((2 * n) + 1);
        }

        return x * (0.5 + (sum / Math.Sqrt(Math.PI)));
    }
}
