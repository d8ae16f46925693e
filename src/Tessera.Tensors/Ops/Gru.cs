using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>The weights of one direction of one GRU layer, gates stacked r, z, n as PyTorch stacks them.</summary>
/// <param name="Input"><c>weight_ih</c>, [3 H, inputs].</param>
/// <param name="Recurrent"><c>weight_hh</c>, [3 H, H].</param>
/// <param name="InputBias"><c>bias_ih</c>, [3 H], or none.</param>
/// <param name="RecurrentBias"><c>bias_hh</c>, [3 H], or none.</param>
public readonly record struct GruWeights(Tensor Input, Tensor Recurrent, Tensor? InputBias = null, Tensor? RecurrentBias = null);

/// <summary>What a GRU layer returns; both can be differentiated.</summary>
/// <param name="Outputs">The hidden state after each step, [B, T, H], zero after a row's end; of two directions
/// [B, T, 2 H], the forward one's first.</param>
/// <param name="FinalHidden">The hidden state after each row's last step (a reverse direction's last step is at time 0),
/// [B, H]; of two directions [2, B, H].</param>
public readonly record struct GruResult(Tensor Outputs, Tensor FinalHidden);

public static partial class Op
{
    /// <summary>
    /// Gated recurrent unit over a sequence, as PyTorch defines it: <c>r = σ(W_ir x + b_ir + W_hr h + b_hr)</c>, z likewise,
    /// <c>n = tanh(W_in x + b_in + r (W_hn h + b_hn))</c> and <c>h' = (1 − z) n + z h</c>.
    /// <para>Cho et al. 2014, <see href="https://arxiv.org/abs/1406.1078"/>.</para>
    /// </summary>
    /// <param name="x">[B, T, inputs].</param>
    /// <param name="weights">Of one direction, for H hidden units.</param>
    /// <param name="initialHidden">[B, H]; none: zeros.</param>
    /// <param name="lengths">I32 [B], how many steps of each row count, 0 to T; none: all. A row of length 0 keeps its
    /// initial state. What stands in x beyond them must be finite and has no effect.</param>
    /// <param name="reverse">Whether each row runs from its own last step to its first.</param>
    /// <exception cref="ShapeException">A tensor's shape or type does not fit.</exception>
    /// <exception cref="ArgumentException">A length is below 0 or above T.</exception>
    public static GruResult Gru(Tensor x, GruWeights weights, Tensor? initialHidden = null, Tensor? lengths = null, bool reverse = false)
    {
        var call = new RecurrentCall("gru", x, weights.AsRecurrent(), null, initialHidden, null, lengths, reverse);
        return RecurrentSequence.Run<GruCell>(call).AsGru();
    }

    /// <summary>Two GRUs over the same sequence, one forward and one in reverse, at the same time; their outputs stand side
    /// by side. Otherwise as <see cref="Gru"/>.</summary>
    /// <param name="x">[B, T, inputs].</param>
    /// <param name="forward">Weights of the direction that runs from the first step to the last.</param>
    /// <param name="backward">Weights of the direction that runs from each row's last step to the first, of the same shapes.</param>
    /// <param name="initialHidden">[2, B, H], the forward direction's first; none: zeros.</param>
    /// <param name="lengths">I32 [B], how many steps of each row count, 0 to T; none: all.</param>
    /// <exception cref="ShapeException">A tensor's shape or type does not fit.</exception>
    /// <exception cref="ArgumentException">A length is below 0 or above T.</exception>
    public static GruResult BidirectionalGru(
        Tensor x, GruWeights forward, GruWeights backward, Tensor? initialHidden = null, Tensor? lengths = null)
    {
        var call = new RecurrentCall("gru", x, forward.AsRecurrent(), backward.AsRecurrent(), initialHidden, null, lengths, Reverse: false);
        return RecurrentSequence.Run<GruCell>(call).AsGru();
    }

    private static RecurrentWeights AsRecurrent(this GruWeights weights) =>
        new(weights.Input, weights.Recurrent, weights.InputBias, weights.RecurrentBias);

    private static GruResult AsGru(this RecurrentResult result) => new(result.Outputs, result.FinalHidden);
}
