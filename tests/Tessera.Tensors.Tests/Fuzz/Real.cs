namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>
/// A double that remembers what it was computed from: an equation written once over it gives its values and, by
/// <see cref="Gradients"/>, the exact derivatives that central differences only approach, at the cost of one evaluation.
/// </summary>
internal readonly struct Real
{
    [ThreadStatic] private static Record? s_record;

    private readonly int _node;

    private Real(double value, int node) => (Value, _node) = (value, node);

    public double Value { get; }

    public static implicit operator Real(double constant) => new(constant, 0);

    public static Real operator +(Real left, Real right) => Of(left.Value + right.Value, left, 1, right, 1);

    public static Real operator -(Real left, Real right) => Of(left.Value - right.Value, left, 1, right, -1);

    public static Real operator -(Real value) => Of(-value.Value, value, -1);

    public static Real operator *(Real left, Real right) => Of(left.Value * right.Value, left, right.Value, right, left.Value);

    public static Real operator /(Real left, Real right) =>
        Of(left.Value / right.Value, left, 1 / right.Value, right, -left.Value / (right.Value * right.Value));

    public static Real Exp(Real x) => Of(Math.Exp(x.Value), x, Math.Exp(x.Value));

    public static Real Log(Real x) => Of(Math.Log(x.Value), x, 1 / x.Value);

    public static Real Sqrt(Real x) => Of(Math.Sqrt(x.Value), x, 0.5 / Math.Sqrt(x.Value));

    public static Real Tanh(Real x) => Of(Math.Tanh(x.Value), x, 1 - (Math.Tanh(x.Value) * Math.Tanh(x.Value)));

    public static Real Sigmoid(Real x) => 1 / (1 + Exp(-x));

    /// <summary>A function of one number whose slope is known.</summary>
    public static Real Of(double value, Real x, double slope)
    {
        if (x._node == 0) return value;
        var record = s_record!;
        record.Edge(x._node, slope);
        return new Real(value, record.Close());
    }

    public static Real Sum(ReadOnlySpan<Real> values)
    {
        var sum = 0.0;
        foreach (var value in values)
        {
            sum += value.Value;
            s_record!.Edge(value._node, 1);
        }

        return new Real(sum, s_record!.Close());
    }

    /// <summary>Σ left[i · leftStep] · right[i · rightStep] over <paramref name="count"/> elements, plus
    /// <paramref name="addend"/>.</summary>
    public static Real Dot(int count, ReadOnlySpan<Real> left, int leftStep, ReadOnlySpan<Real> right, int rightStep, Real addend = default)
    {
        var record = s_record!;
        var sum = addend.Value;
        record.Edge(addend._node, 1);
        for (var i = 0; i < count; i++)
        {
            var (l, r) = (left[i * leftStep], right[i * rightStep]);
            sum += l.Value * r.Value;
            record.Edge(l._node, r.Value);
            record.Edge(r._node, l.Value);
        }

        return new Real(sum, record.Close());
    }

    /// <summary>Values of an equation, and the gradients of <c>Σ upstream · values</c> with respect to each input.</summary>
    public static (double[] Values, Func<float[], double[][]> Gradients) Evaluate(Func<Real[][], Real[]> equation, float[][] inputs)
    {
        var record = s_record = new Record();
        Real[][] reals = [.. inputs.Select(input => input.Select(value => new Real(value, record.Close())).ToArray())];
        var outputs = equation(reals);
        return ([.. outputs.Select(output => output.Value)], upstream =>
        {
            var slopes = record.Backward(outputs.Zip(upstream, (output, slope) => (output._node, (double)slope)));
            return [.. reals.Select(input => input.Select(value => slopes[value._node]).ToArray())];
        });
    }

    private static Real Of(double value, Real left, double leftSlope, Real right, double rightSlope)
    {
        if ((left._node | right._node) == 0) return value;
        s_record!.Edge(left._node, leftSlope);
        s_record.Edge(right._node, rightSlope);
        return new Real(value, s_record.Close());
    }

    /// <summary>Nodes in the order they were made, and the edges that lead to each; node 0 stands for constants.</summary>
    private sealed class Record
    {
        private readonly List<(int From, double Slope)> _edges = [];
        private readonly List<int> _ends = [0];

        public void Edge(int from, double slope)
        {
            if (from != 0) _edges.Add((from, slope));
        }

        public int Close()
        {
            _ends.Add(_edges.Count);
            return _ends.Count - 1;
        }

        public double[] Backward(IEnumerable<(int Node, double Slope)> upstream)
        {
            var slopes = new double[_ends.Count];
            foreach (var (node, slope) in upstream) slopes[node] += slope;
            for (var node = _ends.Count - 1; node > 0; node--)
            {
                if (slopes[node] == 0) continue;
                for (var edge = _ends[node - 1]; edge < _ends[node]; edge++) slopes[_edges[edge].From] += slopes[node] * _edges[edge].Slope;
            }

            return slopes;
        }
    }
}
