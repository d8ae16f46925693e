namespace Tessera.Tensors.Tests.Ops;

/// <summary>A score bias of a kind, and the same as a table of all pairs in double precision, pair by pair.</summary>
internal sealed record BiasEquation(AttentionTests.Sizes Sizes, string Kind)
{
    private const int PositionWidth = 11;

    public static readonly string[] Kinds =
    [
        "linear", "buckets-6", "buckets-32", "buckets-both-8", "buckets-both-32", "relative", "relative-both", "relative-clamped",
        "relative-one", "dense", "dense-rows",
    ];

    private bool IsBoth => Kind.Contains("both", StringComparison.Ordinal);

    private int Buckets => int.Parse(Kind[(Kind.LastIndexOf('-') + 1)..], System.Globalization.CultureInfo.InvariantCulture);

    private int MaxDistance => Buckets < 10 ? 12 : 100;

    /// <summary>The first distance that has a position key, and how many have one.</summary>
    private (int First, int Count) Distances => Kind switch
    {
        "relative" => (0, Sizes.Keys),
        "relative-both" => (1 - Sizes.Keys, (2 * Sizes.Keys) - 1),
        "relative-clamped" => (-5, 23),
        _ => (3, 1),
    };

    /// <summary>What the bias is computed from.</summary>
    public (Shape Shape, float[] Values)[] Inputs()
    {
        var s = Sizes;
        return Kind switch
        {
            "linear" => [OperationCheck.Random([s.Heads], 20, 0.1, 0.05)],
            "dense" => [OperationCheck.Random([s.Heads, s.Queries, s.Keys], 20)],
            "dense-rows" => [OperationCheck.Random([s.Batch, s.Heads, s.Queries, s.Keys], 20)],
            _ when Kind.StartsWith("buckets", StringComparison.Ordinal) => [OperationCheck.Random([Buckets, s.Heads], 20)],
            _ =>
            [
                OperationCheck.Random([s.Batch, s.Queries, s.Heads, PositionWidth], 20),
                OperationCheck.Random([Distances.Count, s.Heads, PositionWidth], 21),
            ],
        };
    }

    public ScoreBias Bias(Tensor[] x) => Kind switch
    {
        "linear" => ScoreBias.Linear(x[0]),
        "dense" or "dense-rows" => ScoreBias.Dense(x[0]),
        _ when Kind.StartsWith("buckets", StringComparison.Ordinal) => ScoreBias.Buckets(x[0], MaxDistance, IsBoth),
        _ => ScoreBias.Relative(x[0], x[1], Distances.First, Kind == "relative-both" ? 0.7f : null),
    };

    /// <summary>[batch, heads, queries, keys].</summary>
    public double[] Table(double[][] x)
    {
        var table = new double[Sizes.Batch * Sizes.Heads * Sizes.Queries * Sizes.Keys];
        ForEachTerm(x, (pair, _, _, value, _, factor) => table[pair] += value * factor);
        return table;
    }

    /// <summary>The gradients of the inputs, from that of the table.</summary>
    public double[][] Gradients(double[][] x, double[] table)
    {
        double[][] gradients = [.. x.Select(input => new double[input.Length])];
        ForEachTerm(x, (pair, place, secondPlace, value, second, factor) =>
        {
            gradients[0][place] += table[pair] * factor;
            if (secondPlace >= 0) gradients[1][secondPlace] += table[pair] * value * second;
        });
        return gradients;
    }

    /// <summary>T5's bucket of a relative position by its equation.</summary>
    public static int Bucket(int relative, int buckets, int maxDistance, bool both)
    {
        if (both) return (relative > 0 ? buckets / 2 : 0) + Side(Math.Abs(relative), buckets / 2, maxDistance);
        return Side(Math.Max(0, -relative), buckets, maxDistance);

        static int Side(int distance, int count, int maxDistance)
        {
            var near = count / 2;
            if (distance < near) return distance;
            var share = Math.Log((double)distance / near) / Math.Log((double)maxDistance / near);
            return Math.Min(count - 1, near + (int)(share * (count - near)));
        }
    }

    /// <summary>Every bias is a sum of an input times a factor, which of relative ones is a second input times the scale.</summary>
    private void ForEachTerm(double[][] x, Term term)
    {
        var s = Sizes;
        var pair = 0;
        for (var b = 0; b < s.Batch; b++)
            for (var h = 0; h < s.Heads; h++)
                for (var i = 0; i < s.Queries; i++)
                    for (var j = 0; j < s.Keys; j++, pair++)
                        Pair(b, h, i, j, s.Position(b, i) - j);

        void Pair(int b, int h, int i, int j, int distance)
        {
            switch (Kind)
            {
                case "linear": Add(h, -Math.Abs(distance)); break;
                case "dense": Add((((h * s.Queries) + i) * s.Keys) + j, 1); break;
                case "dense-rows": Add(pair, 1); break;
                case var _ when Kind.StartsWith("buckets", StringComparison.Ordinal):
                    Add((Bucket(-distance, Buckets, MaxDistance, IsBoth) * s.Heads) + h, 1);
                    break;
                default:
                    var scale = Kind == "relative-both" ? 0.7f : 1 / MathF.Sqrt(PositionWidth);
                    var row = Math.Clamp(distance - Distances.First, 0, Distances.Count - 1);
                    for (var d = 0; d < PositionWidth; d++)
                    {
                        var place = ((((((b * s.Queries) + i) * s.Heads) + h) * PositionWidth) + d);
                        var second = (((row * s.Heads) + h) * PositionWidth) + d;
                        term(pair, place, second, x[0][place], scale, scale * x[1][second]);
                    }

                    break;
            }
        }

        void Add(int place, double factor) => term(pair, place, -1, x[0][place], 0, factor);
    }

    private delegate void Term(int pair, int place, int secondPlace, double value, double second, double factor);
}
