using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Tensors.Tests;

/// <summary>Random sizes for properties, and elements that suit an operation.</summary>
internal static class Samples
{
    /// <summary>Sizes about the widths of vectors, among them 1 and primes.</summary>
    public static Gen<int> Width { get; } = Gen.Elements(1, 2, 3, 4, 5, 7, 8, 13, 15, 16, 17, 31, 32, 33);

    /// <summary>Few rows, sometimes none.</summary>
    public static Gen<int> Rows { get; } = Gen.Elements(0, 1, 2, 3, 5);

    /// <summary>Few, at least one.</summary>
    public static Gen<int> MaxSide { get; } = Gen.Choose(1, 5);

    public static Gen<int> Seed { get; } = Gen.Choose(1, 1_000_000);

    public static Gen<(T1, T2, T3)> Zip<T1, T2, T3>(this Gen<T1> first, Gen<T2> second, Gen<T3> third) =>
        first.Zip(second).Zip(third, (both, last) => (both.Item1, both.Item2, last));

    public static void ForAll<T>(Gen<T> values, Action<T> property, int cases = 30) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(cases), Prop.ForAll(values.ToArbitrary(), property));

    /// <summary>Elements at least 0.01 from zero, where an operation has a corner.</summary>
    public static (Shape Shape, float[] Values) AwayFromZero(Shape shape, int seed, double scale = 1)
    {
        var (_, values) = OperationCheck.Random(shape, seed, scale);
        for (var i = 0; i < values.Length; i++) values[i] += MathF.CopySign(0.01f, values[i]);
        return (shape, values);
    }

    /// <summary>Whole numbers from 0 to <paramref name="limit"/> − 1.</summary>
    public static int[] Below(int limit, int count, int seed)
    {
        var random = new CounterRandom((ulong)seed).Derive("below");
        return [.. Enumerable.Range(0, count).Select(i => random.Below(limit, (ulong)i))];
    }

    /// <summary>Runs on a thread of its own, which begins with an empty arena and no tape.</summary>
    public static void OnNewThread(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }
}
