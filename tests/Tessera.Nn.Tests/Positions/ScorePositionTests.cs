using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Nn.Tests;

/// <summary>Position encodings that act on scores, against what transformers computes.</summary>
public sealed class ScorePositionTests
{
    [SharedFact("fixtures/parts/alibi")]
    public void Slopes_of_alibi_are_those_of_the_reference()
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/alibi")!, "expected.safetensors"));
        foreach (var heads in (int[])[1, 2, 3, 4, 6, 8, 12, 16, 20, 32])
        {
            var positions = (AlibiPositions)new AlibiOptions().Build(PartCheck.Builder(8), heads);
            PartCheck.Compare($"{heads} heads", reference.Floats($"slopes.{heads}"), positions.Slopes, 1e-7);
        }
    }

    [SharedFact("fixtures/parts/t5_buckets")]
    public void Buckets_are_those_of_the_reference()
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/t5_buckets")!, "expected.safetensors"));
        var distances = reference.Ints("relative_position");
        foreach (var (buckets, distance) in ((int, int)[])[(32, 128), (8, 12), (16, 64), (12, 30), (64, 512)])
        {
            var positions = (RelativePositionBias)new RelativePositionBiasOptions(buckets, distance).Build(PartCheck.Builder(8), heads: 2);
            foreach (var both in (bool[])[true, false])
            {
                var found = distances.Select(away => positions.Bucket(away, both));
                Assert.Equal(reference.Ints($"buckets.{buckets}.{distance}.{(both ? "both" : "causal")}"), found);
            }
        }
    }

    [Fact]
    public void The_furthest_distances_share_the_last_bucket()
    {
        var positions = (RelativePositionBias)new RelativePositionBiasOptions(8, 12).Build(PartCheck.Builder(8));
        Assert.Equal(7, positions.Bucket(int.MinValue, isBidirectional: false));
        Assert.Equal(3, positions.Bucket(int.MinValue, isBidirectional: true));
        Assert.Equal(7, positions.Bucket(int.MaxValue, isBidirectional: true));
        Assert.Equal(0, positions.Bucket(int.MaxValue, isBidirectional: false));
    }

    [Fact]
    public void A_bucket_that_is_not_in_the_table_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.BucketScores(Tensor.Temporary([3, 2]), Tensor.From([0, 3], [1, 2])));
        Assert.Contains("bucket 3 is outside a table of 3", error.Message, StringComparison.Ordinal);
    }
}
