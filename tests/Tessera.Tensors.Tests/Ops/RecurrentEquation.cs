namespace Tessera.Tensors.Tests.Ops;

/// <summary>LSTM and GRU written down in double precision, one number at a time.</summary>
/// <param name="Gates">4: LSTM; 3: GRU.</param>
/// <param name="Lengths">Steps of each row.</param>
internal sealed record RecurrentEquation(int Gates, int Batch, int Length, int Inputs, int Units, int[] Lengths)
{
    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>Runs one direction; weights are input, recurrent, input bias, recurrent bias.</summary>
    /// <returns>Outputs [B, T, H], final hidden states and final cells [B, H].</returns>
    public (double[] Outputs, double[] Hidden, double[] Cell) Run(
        double[] x, ReadOnlySpan<double[]> weights, double[]? initialHidden, double[]? initialCell, bool reverse)
    {
        var outputs = new double[Batch * Length * Units];
        var hidden = initialHidden is null ? new double[Batch * Units] : (double[])initialHidden.Clone();
        var cell = initialCell is null ? new double[Batch * Units] : (double[])initialCell.Clone();
        for (var row = 0; row < Batch; row++)
        {
            for (var step = 0; step < Lengths[row]; step++)
            {
                var time = reverse ? Lengths[row] - 1 - step : step;
                var input = x.AsSpan(((row * Length) + time) * Inputs, Inputs);
                var h = hidden.AsSpan(row * Units, Units);
                var fromInput = Affine(weights[0], weights[2], input);
                var fromState = Affine(weights[1], weights[3], h.ToArray());
                if (Gates == 4) LstmStep(fromInput, fromState, h, cell.AsSpan(row * Units, Units));
                else GruStep(fromInput, fromState, h);
                h.CopyTo(outputs.AsSpan(((row * Length) + time) * Units));
            }
        }

        return (outputs, hidden, cell);
    }

    private void LstmStep(double[] fromInput, double[] fromState, Span<double> hidden, Span<double> cell)
    {
        for (var unit = 0; unit < Units; unit++)
        {
            double Sum(int gate) => fromInput[(gate * Units) + unit] + fromState[(gate * Units) + unit];
            cell[unit] = (Sigmoid(Sum(1)) * cell[unit]) + (Sigmoid(Sum(0)) * Math.Tanh(Sum(2)));
            hidden[unit] = Sigmoid(Sum(3)) * Math.Tanh(cell[unit]);
        }
    }

    private void GruStep(double[] fromInput, double[] fromState, Span<double> hidden)
    {
        for (var unit = 0; unit < Units; unit++)
        {
            var reset = Sigmoid(fromInput[unit] + fromState[unit]);
            var update = Sigmoid(fromInput[Units + unit] + fromState[Units + unit]);
            var candidate = Math.Tanh(fromInput[(2 * Units) + unit] + (reset * fromState[(2 * Units) + unit]));
            hidden[unit] = ((1 - update) * candidate) + (update * hidden[unit]);
        }
    }

    private static double[] Affine(double[] weight, double[] bias, ReadOnlySpan<double> input)
    {
        var result = (double[])bias.Clone();
        for (var output = 0; output < result.Length; output++)
            for (var i = 0; i < input.Length; i++) result[output] += weight[(output * input.Length) + i] * input[i];
        return result;
    }
}
