using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class NormTests
{
    public static TheoryData<NormOptions> Kinds =>
        [new RmsNormOptions(1e-2f), new RmsNormOptions(1e-2f, UnitOffset: true), new LayerNormOptions(1e-2f), new LayerNormOptions(1e-2f, Bias: false)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Each_kind_is_its_equation(NormOptions options)
    {
        var part = PartCheck.Shaken(options.Build(PartCheck.Builder(7)));
        PartCheck.Run(
            part, inputs => part.Forward(inputs["x"]),
            exact => options is RmsNormOptions rms
                ? ExactMath.RmsNorm(
                    exact["x"], [.. exact["weight"].Select(weight => rms.UnitOffset ? 1 + weight : weight)], options.Epsilon)
                : ExactMath.LayerNorm(exact["x"], exact["weight"], exact.GetValueOrDefault("bias"), options.Epsilon),
            5e-6, null, ("x", [2, 3, 7]));
    }

    [Fact]
    public void Norms_and_biases_do_not_decay_and_matrices_do()
    {
        Assert.All(new LayerNormOptions().Build(PartCheck.Builder(4)).Parameters(), own => Assert.False(own.Parameter.Decays));
        var linear = new Linear(PartCheck.Builder(4), 4, 3, bias: true);
        Assert.Equal([("weight", true), ("bias", false)], linear.Parameters().Select(own => (own.Name, own.Parameter.Decays)));
        Assert.True(new Embedding(PartCheck.Builder(4), 5, 4).Parameters().Single().Parameter.Decays);
    }

    [Fact]
    public void An_embedding_looks_up_and_scales_and_is_active_by_one_row()
    {
        using var scope = Arena.Current.Scope();
        var part = new Embedding(PartCheck.Builder(4), 5, 4, scale: 2);
        var found = part.Forward(PartCheck.Ints([1, 3], 4, 0, 4)).ToArray();
        var table = part.Weight.AsTensor!.ToArray();
        Assert.Equal([.. table[16..20], .. table[0..4], .. table[16..20]], found.Select(value => value / 2));
        Assert.Equal((20, 4, 0.0), (part.ParameterCount(), part.ActiveParameterCount(), part.FlopsPerToken(9)));
    }
}
