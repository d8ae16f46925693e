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
        return BalanceLoss(probabilities, plan.Choices, sequences: 1);
    }

    /// <summary>The loss of <see cref="BalanceLoss(Tensor, in DispatchPlan)"/> for each sequence on its own, and the mean of
    /// theirs (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20).</summary>
    /// <param name="probabilities">[tokens, groups], each row adding up to 1.</param>
    /// <param name="choices">I32 [tokens, count]: the groups that each token chose.</param>
    /// <param name="sequences">How many there are of equal length, one after the other; divides the tokens.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">A choice is not a group, or the tokens are not so many sequences.</exception>
    public static Tensor BalanceLoss(Tensor probabilities, Tensor choices, int sequences)
    {
        ShapeException.Require(probabilities.Shape.Rank == 2, "balance loss", "probabilities", probabilities, "[tokens, groups]");
        ShapeException.Require(
            choices.Type == ElementType.I32 && choices.Shape.Rank == 2 && choices.Shape[0] == probabilities.Shape[0],
            "balance loss", "choices", choices, "probabilities", probabilities);
        var (tokens, groups) = (probabilities.Shape[0], probabilities.Shape[1]);
        ShapeException.Require(
            sequences > 0 && tokens % sequences == 0, "balance loss", "probabilities", probabilities, $"tokens of {sequences} sequences");
        var shares = Shares(choices, groups, sequences);
        var (sum, length) = (0.0, tokens / sequences);
        var all = probabilities.Floats;
        for (var token = 0; token < tokens; token++)
        {
            var share = shares.Floats.Slice(token / length * groups, groups);
            for (var group = 0; group < groups; group++) sum += share[group] * all[(token * groups) + group];
        }

        var y = Tensor.Temporary([]);
        y.Floats[0] = (float)(sum * groups / Math.Max(1, tokens));
        if (Tape.Write<BalanceLossEntry>(y, probabilities) is { } entry) (entry.Probabilities, entry.Shares) = (probabilities, shares);
        GC.KeepAlive(probabilities);
        GC.KeepAlive(choices);
        return y;
    }

    /// <summary>[sequences, groups]: which share of a sequence's choices each group is.</summary>
    private static Tensor Shares(Tensor choices, int groups, int sequences)
    {
        var shares = Tensor.Temporary([sequences, groups]);
        var share = shares.Floats;
        share.Clear();
        var chosen = choices.Ints;
        var each = chosen.Length / sequences;
        for (var i = 0; i < chosen.Length; i++)
        {
            if ((uint)chosen[i] >= (uint)groups)
                throw new ShapeException($"balance loss: choice {chosen[i]} is not one of {groups} groups");
            share[(i / each * groups) + chosen[i]]++;
        }

        for (var i = 0; i < share.Length; i++) share[i] /= Math.Max(1, each);
        return shares;
    }

    private sealed class BalanceLossEntry : TapeEntry
    {
        public Tensor Probabilities = null!, Shares = null!;

        public override void Backward()
        {
            var gradient = Probabilities.Slot!.Add();
            var (tokens, groups) = (Probabilities.Shape[0], Probabilities.Shape[1]);
            var factor = OutputGradient[0] * groups / Math.Max(1, tokens);
            var length = tokens / Shares.Shape[0];
            for (var token = 0; token < tokens; token++)
            {
                var share = Shares.Floats.Slice(token / length * groups, groups);
                for (var group = 0; group < groups; group++) gradient[(token * groups) + group] += factor * share[group];
            }
        }
    }
}
