using FsCheck.Fluent;

namespace Tessera.Tensors.Tests;

/// <summary>Bit for bit: models that were trained before must come out of the same seed.</summary>
public class InitialTests
{
    [Fact]
    public void Drawn_numbers_are_those_of_their_indices_whatever_the_shape() =>
        Samples.ForAll(Gen.Elements(0, 1, 7, 1023, 1024, 1025, 5000).Zip(Gen.Elements(1, 3), Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            var random = new CounterRandom((ulong)seed);
            var expected = Enumerable.Range(0, rows * width).Select(i => (float)(0.3 * random.Normal((ulong)i)));
            Assert.Equal(expected, Initial.Normal([rows, width], random, 0.3).ToArray());
        });

    [Fact]
    public void A_constant_is_the_same_everywhere() => Assert.Equal([1.5f, 1.5f, 1.5f, 1.5f], Initial.Constant([2, 2], 1.5f).ToArray());

    [Fact]
    public void Sinusoids_are_sines_and_cosines_of_falling_frequencies() =>
        Samples.ForAll(Gen.Elements(0, 1, 5, 300).Zip(Samples.Width), size =>
        {
            var (positions, width) = size;
            var expected = Enumerable.Range(0, positions * width).Select(at =>
            {
                var (position, i) = (at / width, at % width);
                var angle = position * Math.Pow(10000, -(double)(i - (i % 2)) / width);
                return (float)(i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
            });
            Assert.Equal(expected, Initial.Sinusoids(positions, width).ToArray());
        });

    [Fact]
    public void Slopes_of_linear_biases_are_those_of_the_paper_and_of_the_authors_code()
    {
        Assert.Equal([0.5f, 0.25f, 0.125f, 0.0625f, 0.03125f, 0.015625f, 0.0078125f, 0.00390625f], Initial.LinearBiasSlopes(8).ToArray());
        Assert.Equal([0.00390625f], Initial.LinearBiasSlopes(1).ToArray());
        Assert.Equal([0.0625f, 0.00390625f, 0.25f], Initial.LinearBiasSlopes(3).ToArray()); // of two heads, then the first of four
        Assert.Throws<ArgumentOutOfRangeException>(() => Initial.LinearBiasSlopes(0));
    }

    [Fact]
    public void Rotary_tables_are_cosines_and_sines_of_each_position() =>
        Samples.ForAll(Gen.Elements(0, 1, 2, 300).Zip(Gen.Elements(0, 1, 5, 32), Gen.Elements(1.0, 1.37)), size =>
        {
            var (positions, pairs, magnitude) = size;
            double[] angles = [.. Enumerable.Range(0, pairs).Select(pair => Math.Pow(10000, -2.0 * pair / Math.Max(1, 2 * pairs)))];
            var (cosines, sines) = Initial.Rotary(positions, angles, magnitude);
            Assert.Equal([positions, pairs], cosines.Shape);
            Assert.Equal(Table(Math.Cos), cosines.ToArray());
            Assert.Equal(Table(Math.Sin), sines.ToArray());

            IEnumerable<float> Table(Func<double, double> function) =>
                from position in Enumerable.Range(0, positions)
                from angle in angles
                select (float)(magnitude * function(position * angle));
        });
}
