using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Nn.Tests;

/// <summary>Position encodings that act on scores. (Buckets of distances against transformers': with the operation,
/// ScoreBiasTests.)</summary>
public sealed class ScorePositionTests
{
    [SharedFact("fixtures/parts/alibi")]
    public void Slopes_of_alibi_are_those_of_the_reference_learned_or_not()
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/alibi")!, "expected.safetensors"));
        foreach (var heads in (int[])[1, 2, 3, 4, 6, 8, 12, 16, 20, 32])
        {
            foreach (var learned in (bool[])[false, true])
            {
                var positions = (AlibiPositions)new AlibiOptions(learned).Build(PartCheck.Builder(8), heads);
                PartCheck.Compare($"{heads} heads", reference.Floats($"slopes.{heads}"), positions.Slopes.ToArray(), 1e-7);
            }
        }
    }

    [Fact]
    public void Slopes_are_parameters_without_decay_where_they_are_learned()
    {
        Assert.Empty(new AlibiOptions().Build(PartCheck.Builder(8), 4).Parameters());
        var (name, slopes) = Assert.Single(new AlibiOptions(Learned: true).Build(PartCheck.Builder(8), 4).Parameters());
        Assert.Equal(("slopes", true, false), (name, slopes.IsTrained, slopes.Decays));
        Assert.Equal([4], slopes.Shape);
    }

    [Fact]
    public void An_encoding_of_embeddings_or_queries_has_no_bias()
    {
        foreach (var options in (PositionOptions[])[new RotaryOptions(), new LearnedOptions(4), new SinusoidalOptions(4)])
            Assert.Null(options.Build(PartCheck.Builder(8)).Bias(bidirectional: true));
    }
}
