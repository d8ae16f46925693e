using Tessera.Nn.FeedForward;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class DenseFeedForwardTests
{
    private const int Width = 6;
    private const int Hidden = 5;

    public static TheoryData<DenseOptions> Kinds =>
        [
            new SwiGluOptions(Hidden),
            new GeGluOptions(Hidden),
            new GeGluTanhOptions(Hidden),
            new GeluOptions(Hidden),
            new GeluTanhOptions(Hidden),
            new SiluOptions(Hidden),
            new ReluOptions(Hidden),
            new ReGluOptions(Hidden),
            new GluOptions(Hidden),
            new ReluSquaredOptions(Hidden),
            new TanhOptions(Hidden),
        new SigmoidOptions(Hidden), new SwiGluOptions(Hidden) { Bias = true }, new GeluTanhOptions(Hidden) { Bias = true },
        ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Each_kind_is_its_equation(DenseOptions options)
    {
        var part = PartCheck.Shaken(options.Build(PartCheck.Builder(Width)));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"], PartCheck.Step(2, 3)),
            exact =>
            {
                var up = Map("up_proj", exact["x"], Width);
                if (part.Parameters().Any(own => own.Name == "gate_proj.weight"))
                    up = [.. Map("gate_proj", exact["x"], Width).Zip(up, (g, u) => Activation(g) * u)];
                else
                    up = [.. up.Select(Activation)];
                return Map("down_proj", up, Hidden);

                double[] Map(string name, double[] x, int inputs) =>
                    ExactMath.Linear(x, exact[$"{name}.weight"], options.Bias ? exact[$"{name}.bias"] : null, inputs);
            },
            5e-6, null, ("x", [2, 3, Width]));

        double Activation(double value) => options switch
        {
            SwiGluOptions or SiluOptions => ExactMath.Silu(value),
            GeGluTanhOptions or GeluTanhOptions => GeluTanh(value),
            ReluOptions or ReGluOptions => ExactMath.Relu(value),
            ReluSquaredOptions => ExactMath.Relu(value) * ExactMath.Relu(value),
            TanhOptions => Math.Tanh(value),
            GluOptions or SigmoidOptions => 1 / (1 + Math.Exp(-value)),
            _ => Gelu(value),
        };
    }

    [Theory]
    [InlineData(typeof(GeluOptions), 2)]
    [InlineData(typeof(SwiGluOptions), 3)]
    public void Gated_kinds_have_a_matrix_more(Type kind, int matrices)
    {
        var part = ((DenseOptions)Activator.CreateInstance(kind, Hidden)!).Build(PartCheck.Builder(Width));
        Assert.Equal(matrices * Hidden * Width, part.ParameterCount());
    }

    /// <summary>The approximation of Hendrycks and Gimpel 2016, arXiv 1606.08415.</summary>
    private static double GeluTanh(double x) => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))));

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
