using System.Numerics.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// The largest singular values of a matrix with their vectors, in double precision, by Lanczos bidiagonalization with full
/// reorthogonalization: <c>W Vⱼ = Uⱼ B</c> with B bidiagonal, of which j grows until the values wanted have converged. At j = columns it
/// is exact. O(m n j) for an m × n matrix.
/// <para>Golub and Kahan 1965, <see href="https://doi.org/10.1137/0702016"/>; Golub and Van Loan, Matrix Computations, section 10.4.</para>
/// </summary>
internal sealed class SingularVectors
{
    /// <summary>A residual, relative to the largest value, with which a triplet counts as found.</summary>
    private const double Tolerance = 1e-11;

    private readonly double[][] _rows;
    private readonly int _columns;
    private readonly Random _random = new(1); // any start will do
    private readonly List<double[]> _left = [], _right = [];
    private readonly List<double> _diagonal = [], _above = [];

    private SingularVectors(double[][] rows) => (_rows, _columns) = (rows, rows[0].Length);

    /// <summary>The best approximation of a matrix by one of a rank, as B A.</summary>
    /// <param name="matrix">Its rows, all equally long.</param>
    /// <param name="rank">From 1 to the lesser of rows and columns.</param>
    /// <returns>B, whose columns are left vectors times their values, as rows [rank][rows], and A, the right vectors
    /// [rank][columns].</returns>
    public static (double[][] Up, double[][] Down) Truncated(double[][] matrix, int rank)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Math.Min(matrix.Length, matrix[0].Length));
        var isWide = matrix.Length < matrix[0].Length;
        var (left, right) = new SingularVectors(isWide ? Transposed(matrix) : matrix).Largest(rank);
        return isWide ? (right, left) : (left, right);
    }

    /// <summary>The rank largest, [rank][rows] left ones times their values and [rank][columns] right ones.</summary>
    private (double[][] Left, double[][] Right) Largest(int rank)
    {
        _right.Add(Direction(_right, _columns));
        for (var wanted = Math.Min(_columns, rank + 8); ; wanted = Math.Min(_columns, wanted + (wanted / 2)))
        {
            var last = 0.0;
            while (_left.Count < wanted) last = Extend();
            var (products, turns) = Jacobi.Of(Bidiagonal());
            var order = Enumerable.Range(0, products.Length).OrderByDescending(index => Norm(products[index])).Take(rank).ToArray();
            var largest = Norm(products[order[0]]);
            // The residual of a triplet is what the next step would add: the last part of its left vector times the last off-diagonal.
            var isFound = order.All(index =>
                last * Math.Abs(products[index][^1]) <= Tolerance * largest * Math.Max(Norm(products[index]), Tolerance));
            if (!isFound && wanted < _columns) continue;
            return (
                [.. order.Select(index => Combined(_left, products[index]))], [.. order.Select(index => Combined(_right, turns[index]))]);
        }
    }

    /// <summary>One step more: a left and a right vector; gives the element of B beside the diagonal that follows.</summary>
    private double Extend()
    {
        var right = _right[^1];
        var left = new double[_rows.Length];
        for (var row = 0; row < left.Length; row++) left[row] = TensorPrimitives.Dot<double>(_rows[row], right);
        _diagonal.Add(Add(_left, left));

        var next = new double[_columns];
        var from = _left[^1];
        for (var row = 0; row < from.Length; row++) TensorPrimitives.MultiplyAdd<double>(_rows[row], from[row], next, next);
        if (_right.Count == _columns)
        {
            _above.Add(0);
            return 0; // there is no further direction
        }

        _above.Add(Add(_right, next));
        return _above[^1];
    }

    /// <summary>Makes a vector orthogonal to others, of length 1, and one of them; where nothing is left of it, any other direction is
    /// taken, and its length counts as 0.</summary>
    private double Add(List<double[]> others, double[] vector)
    {
        var before = Norm(vector);
        Orthogonalize(vector, others);
        var length = Norm(vector);
        var isNothing = length <= 1e-14 * Math.Max(before, 1e-300);
        if (isNothing) vector = Direction(others, vector.Length);
        else TensorPrimitives.Divide<double>(vector, length, vector);
        others.Add(vector);
        return isNothing ? 0 : length;
    }

    /// <summary>A random direction that is orthogonal to others.</summary>
    private double[] Direction(List<double[]> others, int size)
    {
        double[] vector = [.. Enumerable.Range(0, size).Select(_ => _random.NextDouble() - 0.5)];
        Orthogonalize(vector, others);
        TensorPrimitives.Divide<double>(vector, Norm(vector), vector);
        return vector;
    }

    private static void Orthogonalize(double[] vector, List<double[]> others)
    {
        for (var pass = 0; pass < 2; pass++) // once is not enough, twice is (Parlett, The Symmetric Eigenvalue Problem, section 6.9)
            foreach (var other in others)
                TensorPrimitives.MultiplyAdd<double>(other, -TensorPrimitives.Dot<double>(other, vector), vector, vector);
    }

    private double[][] Bidiagonal()
    {
        var size = _diagonal.Count;
        double[][] columns = [.. Enumerable.Range(0, size).Select(_ => new double[size])];
        for (var index = 0; index < size; index++)
        {
            columns[index][index] = _diagonal[index];
            if (index > 0) columns[index][index - 1] = _above[index - 1];
        }

        return columns;
    }

    private static double[] Combined(List<double[]> basis, double[] weights)
    {
        var sum = new double[basis[0].Length];
        for (var index = 0; index < weights.Length; index++) TensorPrimitives.MultiplyAdd<double>(basis[index], weights[index], sum, sum);
        return sum;
    }

    private static double Norm(double[] vector) => Math.Sqrt(TensorPrimitives.Dot<double>(vector, vector));

    private static double[][] Transposed(double[][] matrix) =>
        [.. Enumerable.Range(0, matrix[0].Length).Select(column => matrix.Select(row => row[column]).ToArray())];

    /// <summary>All singular triplets of a small matrix: its columns are turned against each other, two at a time, until all are orthogonal
    /// (Hestenes 1958).</summary>
    private static class Jacobi
    {
        private const int MaxSweeps = 60;

        /// <summary>The left vectors times their values, and the right ones, in any order.</summary>
        /// <param name="columns">The matrix, which is changed.</param>
        public static (double[][] Products, double[][] Turns) Of(double[][] columns)
        {
            var size = columns.Length;
            double[][] turns = [.. Enumerable.Range(0, size).Select(index =>
            {
                var unit = new double[size];
                unit[index] = 1;
                return unit;
            })];
            for (var sweep = 0; sweep < MaxSweeps; sweep++)
            {
                var turned = false;
                for (var one = 0; one < size - 1; one++)
                    for (var other = one + 1; other < size; other++)
                        turned |= Turn(columns[one], columns[other], turns[one], turns[other]);
                if (!turned) break;
            }

            return (columns, turns);
        }

        private static bool Turn(double[] one, double[] other, double[] oneTurn, double[] otherTurn)
        {
            var (alpha, beta) = (TensorPrimitives.Dot<double>(one, one), TensorPrimitives.Dot<double>(other, other));
            var gamma = TensorPrimitives.Dot<double>(one, other);
            if (Math.Abs(gamma) <= 1e-15 * Math.Sqrt(alpha * beta)) return false;
            var zeta = (beta - alpha) / (2 * gamma);
            var tangent = Math.CopySign(1, zeta) / (Math.Abs(zeta) + Math.Sqrt(1 + (zeta * zeta)));
            var cosine = 1 / Math.Sqrt(1 + (tangent * tangent));
            Rotate(one, other, cosine, cosine * tangent);
            Rotate(oneTurn, otherTurn, cosine, cosine * tangent);
            return true;
        }

        private static void Rotate(double[] one, double[] other, double cosine, double sine)
        {
            for (var index = 0; index < one.Length; index++)
                (one[index], other[index]) = ((cosine * one[index]) - (sine * other[index]), (sine * one[index]) + (cosine * other[index]));
        }
    }
}
