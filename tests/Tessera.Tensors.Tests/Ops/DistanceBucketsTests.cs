namespace Tessera.Tensors.Tests.Ops;

public class DistanceBucketsTests
{
    [Fact]
    public void Buckets_of_any_number_and_distance_are_those_of_the_equation()
    {
        var buckets = new DistanceBuckets();
        (int, int)[] tables = [(2, 2), (2, 1000), (4, 3), (5, 77), (31, 16), (32, 128), (33, 1 << 20), (64, 40), (4096, 5000)];
        foreach (var (count, maxDistance) in tables)
        {
            foreach (var both in (bool[])[false, true])
            {
                if (both && count < 4) continue;
                buckets.Set(count, maxDistance, both);
                int[] far = [-maxDistance - 1, -maxDistance, 1 - maxDistance, maxDistance, 1 << 25, -(1 << 25)];
                foreach (var relative in Enumerable.Range(-700, 1400).Concat(far))
                {
                    var (bucket, last) = buckets.Of(relative);
                    Assert.Equal(BiasEquation.Bucket(relative, count, maxDistance, both), bucket);
                    if (last >= int.MaxValue) continue;
                    Assert.Equal(bucket, buckets.Of((int)last).Bucket);
                    if (last == 0) continue; // what is after the query may share the bucket of distance 0
                    Assert.NotEqual(bucket, buckets.Of((int)last + 1).Bucket);
                }
            }
        }

        Assert.Equal(4095, buckets.Of(int.MaxValue).Bucket);
        Assert.Equal(2047, buckets.Of(int.MinValue).Bucket);
    }
}
