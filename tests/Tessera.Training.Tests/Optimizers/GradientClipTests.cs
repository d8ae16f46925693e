using Tessera.Testing;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Tests.Optimizers;

public class GradientClipTests
{
    [Fact]
    public void Norm_and_clipped_gradients_are_PyTorchs()
    {
        var expected = new ReferenceTensors(Fixture.Local("torch/clip_norm-1/expected.safetensors"));
        var parameters = Parameters.Random(1, 20, 7);
        for (var i = 0; i < 2; i++) parameters[i].Parameter.SetGradient(expected.Floats($"gradients.{i}"));
        var clip = GradientClip.Measure(parameters, 1);
        Assert.Equal(expected.Floats("norm")[0], clip.Norm, 1e-6 * clip.Norm);
        for (var i = 0; i < 2; i++)
        {
            foreach (var (wanted, found) in expected.Floats($"clipped.{i}").Zip(parameters[i].Parameter.Value.Gradient.ToArray()))
                Assert.Equal(wanted, found * clip.Scale, Math.Abs(wanted) * 1e-6);
        }
    }

    [Fact]
    public void Gradients_shorter_than_the_maximum_stay_as_they_are()
    {
        var parameters = Parameters.Random(1, 2);
        parameters[0].Parameter.SetGradient([3, 4]);
        Assert.Equal(new GradientClip(5, 1), GradientClip.Measure(parameters, 5.5));
        Assert.Equal([3, 4], parameters[0].Parameter.Value.Gradient.ToArray());
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_gradient_that_is_not_finite_is_reported_and_leaves_no_scale(float bad)
    {
        var parameters = Parameters.Random(1, 50_000, 9);
        var gradient = new float[50_000];
        gradient.AsSpan().Fill(10);
        gradient[33_333] = bad;
        parameters[0].Parameter.SetGradient(gradient);
        var clip = GradientClip.Measure(parameters, 1);
        Assert.False(clip.IsFinite);
        Assert.Equal(1, clip.Scale);
        Assert.Equal(gradient, parameters[0].Parameter.Value.Gradient.ToArray());
    }

    [Fact]
    public void The_norm_is_exact_to_double_precision_even_where_squares_leave_the_range_of_floats()
    {
        var parameters = Parameters.Random(1, 100_001, 3, 40_000);
        var exact = 0.0;
        foreach (var (name, parameter) in parameters)
        {
            var scale = name == "p1" ? 1e25f : 3e24f;
            var gradient = Parameters
                .Normal(new Random(name[1]), (int)parameter.Value.Shape.Count)
                .Select(value => value * scale)
                .ToArray();
            parameter.SetGradient(gradient);
            exact += gradient.Sum(value => (double)value * value);
        }

        Assert.Equal(Math.Sqrt(exact), GradientClip.Measure(parameters, 1).Norm, 1e-13 * Math.Sqrt(exact));
    }

    [Fact]
    public void A_maximum_that_is_not_above_zero_is_refused() =>
        Assert.Contains(
            "-1", Assert.Throws<ArgumentOutOfRangeException>(() => GradientClip.Measure([], -1)).Message, StringComparison.Ordinal);
}
