using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>The weights of one direction of one LSTM layer, gates stacked i, f, g, o as PyTorch stacks them.</summary>
/// <param name="Input"><c>weight_ih</c>, [4 H, inputs].</param>
/// <param name="Recurrent"><c>weight_hh</c>, [4 H, H].</param>
/// <param name="InputBias"><c>bias_ih</c>, [4 H], or none.</param>
/// <param name="RecurrentBias"><c>bias_hh</c>, [4 H], or none.</param>
public readonly record struct LstmWeights(Tensor Input, Tensor Recurrent, Tensor? InputBias = null, Tensor? RecurrentBias = null);

/// <summary>What an LSTM layer returns; all can be differentiated.</summary>
/// <param name="Outputs">The hidden state after each step, [B, T, H], zero after a row's end; of two directions
/// [B, T, 2 H], the forward one's first.</param>
/// <param name="FinalHidden">The hidden state after each row's last step (a reverse direction's last step is at time 0),
/// [B, H]; of two directions [2, B, H].</param>
/// <param name="FinalCell">The cell after each row's last step, shaped as <paramref name="FinalHidden"/>.</param>
public readonly record struct LstmResult(Tensor Outputs, Tensor FinalHidden, Tensor FinalCell);

public static partial class Op
{
    /// <summary>
    /// Long short-term memory over a sequence: with <c>(i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh</c>,
    /// <c>c' = σ(f) c + σ(i) tanh(g)</c> and <c>h' = σ(o) tanh(c')</c>, as PyTorch defines it.
    /// <para>Hochreiter, Schmidhuber 1997, <see href="https://doi.org/10.1162/neco.1997.9.8.1735"/>.</para>
    /// </summary>
    /// <param name="x">[B, T, inputs].</param>
    /// <param name="weights">Of one direction, for H hidden units.</param>
    /// <param name="initialHidden">[B, H]; none: zeros.</param>
    /// <param name="initialCell">[B, H]; none: zeros.</param>
    /// <param name="lengths">I32 [B], how many steps of each row count, 0 to T; none: all. A row of length 0 keeps its
    /// initial state. What stands in x beyond them must be finite and has no effect.</param>
    /// <param name="reverse">Whether each row runs from its own last step to its first.</param>
    /// <exception cref="ShapeException">A tensor's shape or type does not fit.</exception>
    /// <exception cref="ArgumentException">A length is below 0 or above T.</exception>
    public static LstmResult Lstm(
        Tensor x, LstmWeights weights, Tensor? initialHidden = null, Tensor? initialCell = null, Tensor? lengths = null,
        bool reverse = false)
    {
        var call = new RecurrentCall("lstm", x, weights.AsRecurrent(), null, initialHidden, initialCell, lengths, reverse);
        return RecurrentSequence.Run<LstmCell>(call).AsLstm();
    }

    /// <summary>Two LSTMs over the same sequence, one forward and one in reverse, at the same time; their outputs stand side
    /// by side. Otherwise as <see cref="Lstm"/>.</summary>
    /// <param name="x">[B, T, inputs].</param>
    /// <param name="forward">Weights of the direction that runs from the first step to the last.</param>
    /// <param name="backward">Weights of the direction that runs from each row's last step to the first, of the same shapes.</param>
    /// <param name="initialHidden">[2, B, H], the forward direction's first; none: zeros.</param>
    /// <param name="initialCell">[2, B, H]; none: zeros.</param>
    /// <param name="lengths">I32 [B], how many steps of each row count, 0 to T; none: all.</param>
    /// <exception cref="ShapeException">A tensor's shape or type does not fit.</exception>
    /// <exception cref="ArgumentException">A length is below 0 or above T.</exception>
    public static LstmResult BidirectionalLstm(
        Tensor x, LstmWeights forward, LstmWeights backward, Tensor? initialHidden = null, Tensor? initialCell = null,
        Tensor? lengths = null)
    {
        var call = new RecurrentCall(
            "lstm", x, forward.AsRecurrent(), backward.AsRecurrent(), initialHidden, initialCell, lengths, Reverse: false);
        return RecurrentSequence.Run<LstmCell>(call).AsLstm();
    }

    private static RecurrentWeights AsRecurrent(this LstmWeights weights) =>
        new(weights.Input, weights.Recurrent, weights.InputBias, weights.RecurrentBias);

    private static LstmResult AsLstm(this RecurrentResult result) => new(result.Outputs, result.FinalHidden, result.FinalCell!);
}
