using Tessera.Tensors;

namespace Tessera.Nn.Recurrence;

/// <summary>What a recurrent layer gives: the hidden state after each token and after the last, and the last cell where there is
/// one.</summary>
internal readonly record struct RecurrentOutput(Tensor Outputs, Tensor Hidden, Tensor? Cell);

/// <summary>The state a recurrent layer starts from.</summary>
internal readonly record struct RecurrentState(Tensor? Hidden, Tensor? Cell);

/// <summary>The step of a recurrence: how many gates it has, and the operation that runs it over a sequence.</summary>
internal abstract class RecurrentCell
{
    /// <summary>Long short-term memory.</summary>
    public static RecurrentCell Lstm { get; } = new LstmCell();

    /// <summary>Gated recurrent units.</summary>
    public static RecurrentCell Gru { get; } = new GruCell();

    /// <summary>How many gates' weights stand on top of each other.</summary>
    public abstract int Gates { get; }

    /// <summary>Whether there is a cell beside the hidden state.</summary>
    public abstract bool HasCell { get; }

    /// <summary>Runs one layer; the second set of weights is that of the other direction.</summary>
    public abstract RecurrentOutput Run(
        Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths, RecurrentState start = default);

    private sealed class LstmCell : RecurrentCell
    {
        public override int Gates => 4;

        public override bool HasCell => true;

        public override RecurrentOutput Run(
            Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths, RecurrentState start = default)
        {
            var result = backward is null
                ? Op.Lstm(x, Weights(forward), start.Hidden, start.Cell, lengths)
                : Op.BidirectionalLstm(x, Weights(forward), Weights(backward), start.Hidden, start.Cell, lengths);
            return new RecurrentOutput(result.Outputs, result.FinalHidden, result.FinalCell);
        }

        private static LstmWeights Weights(RecurrentWeightSet set) =>
            new(set.Input.Value, set.Recurrent.Value, set.InputBias.Value, set.RecurrentBias.Value);
    }

    private sealed class GruCell : RecurrentCell
    {
        public override int Gates => 3;

        public override bool HasCell => false;

        public override RecurrentOutput Run(
            Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths, RecurrentState start = default)
        {
            var result = backward is null
                ? Op.Gru(x, Weights(forward), start.Hidden, lengths)
                : Op.BidirectionalGru(x, Weights(forward), Weights(backward), start.Hidden, lengths);
            return new RecurrentOutput(result.Outputs, result.FinalHidden, null);
        }

        private static GruWeights Weights(RecurrentWeightSet set) =>
            new(set.Input.Value, set.Recurrent.Value, set.InputBias.Value, set.RecurrentBias.Value);
    }
}

/// <summary>The weights of one layer and direction, named as PyTorch names them (<c>weight_ih_l0</c>, <c>weight_hh_l0_reverse</c> …):
/// parameters, not <see cref="Weights.Weight"/>s, since a layer is one fused operation over the whole sequence, which packs the F32 tensors
/// once for all steps; no other form could stand in for them.</summary>
internal sealed record RecurrentWeightSet(Parameter Input, Parameter Recurrent, Parameter InputBias, Parameter RecurrentBias)
{
    /// <summary>New weights.</summary>
    /// <param name="part">Where they come from.</param>
    /// <param name="cell">How many gates there are.</param>
    /// <param name="inputs">The width of what is read.</param>
    /// <param name="hidden">Hidden units.</param>
    /// <param name="suffix">The end of their names.</param>
    /// <param name="own">Makes each the module's own.</param>
    public static RecurrentWeightSet Of(
        PartBuilder part, RecurrentCell cell, int inputs, int hidden, string suffix, Func<string, Parameter, Parameter> own)
    {
        var (rows, deviation) = (cell.Gates * hidden, 1 / Math.Sqrt(3.0 * hidden)); // the deviation of PyTorch's uniform distribution
        return new RecurrentWeightSet(
            own($"weight_ih_{suffix}", part.Matrix($"weight_ih_{suffix}", rows, inputs, deviation)),
            own($"weight_hh_{suffix}", part.Matrix($"weight_hh_{suffix}", rows, hidden, deviation)),
            own($"bias_ih_{suffix}", PartBuilder.Constant(rows, 0)),
            own($"bias_hh_{suffix}", PartBuilder.Constant(rows, 0)));
    }
}
