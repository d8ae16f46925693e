using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Tests.Formats.HuggingFace;

public sealed class SingularVectorsTests
{
    [Theory]
    [InlineData(60, 40, 5, 0.9)]
    [InlineData(40, 60, 5, 0.9)]
    [InlineData(120, 120, 16, 0.99)]
    [InlineData(7, 3, 3, 0.5)]
    [InlineData(1, 9, 1, 0.5)]
    [InlineData(50, 50, 4, 1e-3)]
    public void The_best_approximation_is_the_sum_of_the_largest_terms(int rows, int columns, int rank, double ratio)
    {
        var values = Enumerable.Range(0, Math.Min(rows, columns)).Select(index => 3 * Math.Pow(ratio, index)).ToArray();
        var (left, right) = (Orthogonal(rows, 1), Orthogonal(columns, 2));
        Check(Sum(values, left, right, rows, columns), Sum(values[..rank], left, right, rows, columns), rank);
    }

    [Fact]
    public void Equal_values_are_found_as_often_as_they_occur()
    {
        double[] values = [2, 2, 2, 1, 1, .. Enumerable.Repeat(0.5, 25)];
        var (left, right) = (Orthogonal(30, 3), Orthogonal(40, 4));
        Check(Sum(values, left, right, 30, 40), Sum(values[..5], left, right, 30, 40), 5);
    }

    [Fact]
    public void A_matrix_of_lower_rank_or_of_zeros_is_given_back()
    {
        var (left, right) = (Orthogonal(20, 5), Orthogonal(10, 6));
        var low = Sum([1, 0.5], left, right, 20, 10);
        Check(low, low, 6);
        var zero = Sum([], left, right, 20, 10);
        Check(zero, zero, 4);
    }

    private static void Check(double[][] matrix, double[][] expected, int rank)
    {
        var (up, down) = SingularVectors.Truncated(matrix, rank);
        Assert.Equal((rank, rank), (up.Length, down.Length));
        for (var row = 0; row < matrix.Length; row++)
            for (var column = 0; column < matrix[0].Length; column++)
                Assert.Equal(expected[row][column], Enumerable.Range(0, rank).Sum(index => up[index][row] * down[index][column]), 1e-9);
    }

    private static double[][] Sum(double[] values, double[][] left, double[][] right, int rows, int columns) =>
        [.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, columns)
            .Select(column => values.Select((value, index) => value * left[index][row] * right[index][column]).Sum()).ToArray())];

    /// <summary>The columns of a product of reflections, which is orthogonal whatever they are.</summary>
    private static double[][] Orthogonal(int size, int seed)
    {
        var random = new Random(seed);
        double[][] columns = [.. Enumerable.Range(0, size).Select(index => Enumerable.Range(0, size).Select(row => row == index ? 1.0 : 0).ToArray())];
        for (var reflection = 0; reflection < 3; reflection++)
        {
            double[] mirror = [.. Enumerable.Range(0, size).Select(_ => random.NextDouble() - 0.5)];
            var square = mirror.Sum(value => value * value);
            foreach (var column in columns)
            {
                var along = 2 * column.Zip(mirror, (one, other) => one * other).Sum() / square;
                for (var row = 0; row < size; row++) column[row] -= along * mirror[row];
            }
        }

        return columns;
    }
}
