namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// Changes a bias so that loads even out without a loss: <c>bias_i −= rate · sign(load_i − mean load)</c>. No gradient.
    /// <para>Wang et al. 2024, <see href="https://arxiv.org/abs/2408.15664"/>, algorithm 1.</para>
    /// </summary>
    /// <param name="bias">[groups], of what is chosen by; written to.</param>
    /// <param name="loads">How often each group was chosen.</param>
    /// <param name="rate">How far the bias of a group moves; 0 or above.</param>
    /// <exception cref="ShapeException">There are not as many loads as groups.</exception>
    public static void EvenLoads(Tensor bias, ReadOnlySpan<long> loads, float rate)
    {
        ShapeException.Require(bias.Shape == [loads.Length], "even loads", "bias", bias, $"[{loads.Length}], a number for each load");
        var total = 0L;
        foreach (var load in loads) total += load;
        var biases = bias.Floats;
        for (var group = 0; group < loads.Length; group++) biases[group] -= rate * Math.Sign((loads[group] * loads.Length) - total);
        GC.KeepAlive(bias);
    }
}
