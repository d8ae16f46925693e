namespace Tessera.Tensors;

/// <summary>
/// T5's buckets of relative positions. A side has <c>b</c> of them: distances <c>n</c> below <c>b / 2</c> have one each, those above
/// the bucket <c>b/2 + ⌊log(n / (b/2)) / log(max / (b/2)) · (b − b/2)⌋</c> or the last. Kept is where each begins, so that no logarithm
/// is taken for a pair.
/// </summary>
internal sealed class DistanceBuckets
{
    private int _count, _maxDistance;
    private bool _bidirectional;

    /// <summary>The smallest distance of each bucket of a side; where two are equal the first is empty.</summary>
    private int[] _first = [];

    /// <summary>Makes these the buckets of such a table; does nothing where they are.</summary>
    public void Set(int buckets, int maxDistance, bool bidirectional)
    {
        var count = bidirectional ? buckets / 2 : buckets;
        if ((count, maxDistance, bidirectional) == (_count, _maxDistance, _bidirectional)) return;
        if (maxDistance <= count / 2)
        {
            throw new ArgumentOutOfRangeException(
                nameof(maxDistance), maxDistance,
                $"the distance from which on all share a bucket must be above {count / 2}, those that have one each");
        }

        (_count, _maxDistance, _bidirectional) = (count, maxDistance, bidirectional);
        if (_first.Length < count) _first = new int[count];
        for (var bucket = 0; bucket < count; bucket++) _first[bucket] = FirstOf(bucket);
    }

    /// <summary>The bucket of a relative position, and the last position that follows in the same bucket.</summary>
    /// <param name="relative">Position of the key less that of the query.</param>
    public (int Bucket, long Last) Of(int relative)
    {
        if (relative > 0 && !_bidirectional) return (0, int.MaxValue);
        var bucket = Search(Math.Abs((long)relative));
        if (relative <= 0) return (bucket, -_first[bucket]);
        return (_count + bucket, bucket + 1 < _count ? _first[bucket + 1] - 1 : int.MaxValue);
    }

    /// <summary>The last bucket that begins no later than a distance.</summary>
    private int Search(long distance)
    {
        var (low, high) = (0, _count);
        while (high - low > 1)
        {
            var middle = (low + high) / 2;
            if (_first[middle] <= distance) low = middle;
            else high = middle;
        }

        return low;
    }

    private int FirstOf(int bucket)
    {
        var near = _count / 2;
        if (bucket <= near) return bucket;
        var share = (double)(bucket - near) / (_count - near);
        var distance = (int)Math.Min(near * Math.Pow((double)_maxDistance / near, share), _maxDistance); // but for rounding
        while (distance > near && BucketOf(distance - 1) >= bucket) distance--;
        while (distance < _maxDistance && BucketOf(distance) < bucket) distance++;
        return distance;
    }

    /// <summary>The bucket of a far distance by its equation.</summary>
    private int BucketOf(int distance)
    {
        var near = _count / 2;
        return near + (int)(Math.Log((double)distance / near) / Math.Log((double)_maxDistance / near) * (_count - near));
    }
}
