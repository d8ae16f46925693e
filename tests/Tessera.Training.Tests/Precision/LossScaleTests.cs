using Tessera.Testing;
using Tessera.Training.Precision;

namespace Tessera.Training.Tests.Precision;

public sealed class LossScaleTests
{
    [Fact]
    public void The_scale_goes_where_PyTorchs_goes()
    {
        var expected = new ReferenceTensors(Fixture.Local("torch/loss_scale/expected.safetensors"));
        var options = new LossScaleOptions { Initial = 1024, Growth = 2, Backoff = 0.5, Interval = 4 };
        var scale = LossScale.Start(options);
        var trail = new List<float>();
        foreach (var overflow in expected.Ints("overflow"))
        {
            scale = scale.After(overflow == 0, options);
            trail.Add(scale.Value);
        }

        Assert.Equal(expected.Floats("scale_after"), trail);
    }

    [Fact]
    public void A_scale_that_would_become_infinite_stays()
    {
        var options = new LossScaleOptions { Initial = 3e38, Interval = 1 };
        var scale = LossScale.Start(options);
        Assert.Equal(scale, scale.After(finite: true, options));
        Assert.Equal(1.5e38f, scale.After(finite: false, options).Value);
    }
}
