namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// The auxiliary loss that keeps experts evenly used: <c>groups · Σ_i f_i P_i</c>, where f_i is the share of slots that
    /// went to group i (no gradient) and P_i the mean gate probability; 1 when all are even
    /// (Shazeer et al. 2017, arXiv 1701.06538; Fedus et al. 2021, arXiv 2101.03961, equation 4).
    /// </summary>
    /// <param name="probabilities">[tokens, groups], each row adding up to 1.</param>
    /// <param name="plan">Where the tokens went.</param>
    /// <returns>A scalar.</returns>
    public static Tensor BalanceLoss(Tensor probabilities, in DispatchPlan plan)
    {
        ShapeException.Require(
            probabilities.Shape == [plan.Slots.Shape[0], plan.Groups], "balance loss", "probabilities", probabilities, "plan", plan.Slots);
        var (tokens, groups) = (probabilities.Shape[0], probabilities.Shape[1]);
        var shares = Tensor.Temporary([groups]);
        for (var group = 0; group < groups; group++) shares.Floats[group] = plan.Share(group);

        var sum = 0.0;
        var share = shares.Floats;
        var all = probabilities.Floats;
        for (var token = 0; token < tokens; token++)
            for (var group = 0; group < groups; group++) sum += share[group] * all[(token * groups) + group];
        var y = Tensor.Temporary([]);
        y.Floats[0] = (float)(sum * groups / Math.Max(1, tokens));
        if (Tape.Write<BalanceLossEntry>(y, probabilities) is { } entry) (entry.Probabilities, entry.Shares) = (probabilities, shares);
        return y;
    }

    private sealed class BalanceLossEntry : TapeEntry
    {
        public Tensor Probabilities = null!, Shares = null!;

        public override void Backward()
        {
            var gradient = Probabilities.Slot!.Add();
            var (tokens, groups) = (Probabilities.Shape[0], Probabilities.Shape[1]);
            var factor = OutputGradient[0] * groups / Math.Max(1, tokens);
            var share = Shares.Floats;
            for (var token = 0; token < tokens; token++)
                for (var group = 0; group < groups; group++) gradient[(token * groups) + group] += factor * share[group];
        }
    }
}
