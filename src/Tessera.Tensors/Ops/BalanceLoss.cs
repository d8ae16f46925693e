namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// The auxiliary loss that keeps experts evenly used: <c>groups · Σ_i f_i P_i</c>, where f_i is the share of slots that
    /// went to group i (no gradient) and P_i the mean gate probability; 1 when all are even. Padding, which has no slots, counts in neither
    /// (Shazeer et al. 2017, arXiv 1701.06538; Fedus et al. 2021, arXiv 2101.03961, equation 4).
    /// </summary>
    /// <param name="probabilities">[tokens, groups], each row adding up to 1.</param>
    /// <param name="plan">Where the tokens went.</param>
    /// <returns>A scalar.</returns>
    public static Tensor BalanceLoss(Tensor probabilities, in DispatchPlan plan)
    {
        ShapeException.Require(
            probabilities.Shape == [plan.Slots.Shape[0], plan.Groups], "balance loss", "probabilities", probabilities, "plan", plan.Slots);
        var (tokens, each) = (plan.Slots.Shape[0], plan.Slots.Shape[1]);
        var sequences = Tensor.Temporary([tokens], ElementType.I32);
        for (var token = 0; token < tokens; token++) sequences.Ints[token] = each > 0 && plan.Slots.Ints[token * each] < 0 ? -1 : 0;
        var y = BalanceLoss(probabilities, plan.Choices, sequences);
        GC.KeepAlive(plan.Slots);
        return y;
    }

    /// <summary>The loss of <see cref="BalanceLoss(Tensor, in DispatchPlan)"/> for each sequence on its own, and the mean of
    /// theirs (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20).</summary>
    /// <param name="probabilities">[tokens, groups], each row adding up to 1.</param>
    /// <param name="choices">I32 [tokens, count]: the groups that each token chose.</param>
    /// <param name="sequences">I32 [tokens]: which sequence each token belongs to, a number from 0 and below the number of tokens; below 0
    /// for padding.</param>
    /// <returns>A scalar; 0 where all is padding.</returns>
    /// <exception cref="ShapeException">A choice is not a group, or a sequence's number is too large.</exception>
    public static Tensor BalanceLoss(Tensor probabilities, Tensor choices, Tensor sequences)
    {
        ShapeException.Require(probabilities.Shape.Rank == 2, "balance loss", "probabilities", probabilities, "[tokens, groups]");
        ShapeException.Require(
            choices.Type == ElementType.I32 && choices.Shape.Rank == 2 && choices.Shape[0] == probabilities.Shape[0],
            "balance loss", "choices", choices, "probabilities", probabilities);
        ShapeException.Require(
            sequences.Type == ElementType.I32 && sequences.Shape == [probabilities.Shape[0]],
            "balance loss", "sequences", sequences, "probabilities", probabilities);
        var (tokens, groups) = (probabilities.Shape[0], probabilities.Shape[1]);
        var sizes = Sizes(sequences.Ints);
        var (shares, present) = (Shares(choices, sequences.Ints, sizes.Ints, groups), sizes.Ints.Length - sizes.Ints.Count(0));
        var total = 0.0;
        var all = probabilities.Floats;
        for (var token = 0; token < tokens; token++)
        {
            var (sequence, sum) = (sequences.Ints[token], 0.0);
            if (sequence < 0) continue;
            var share = shares.Floats.Slice(sequence * groups, groups);
            for (var group = 0; group < groups; group++) sum += share[group] * all[(token * groups) + group];
            total += sum / ((double)present * sizes.Ints[sequence]);
        }

        var y = Tensor.Temporary([]);
        y.Floats[0] = (float)(total * groups);
        if (Tape.Write<BalanceLossEntry>(y, probabilities) is { } entry)
            (entry.Probabilities, entry.Shares, entry.Sequences, entry.Sizes) = (probabilities, shares, sequences, sizes);
        GC.KeepAlive(probabilities);
        GC.KeepAlive(choices);
        GC.KeepAlive(sequences);
        return y;
    }

    /// <summary>I32 [sequences]: how many tokens each has.</summary>
    private static Tensor Sizes(ReadOnlySpan<int> sequences)
    {
        var count = 0;
        foreach (var sequence in sequences)
        {
            if (sequence >= sequences.Length)
                throw new ShapeException($"balance loss: sequence {sequence} is not below the number of tokens, {sequences.Length}");
            count = Math.Max(count, sequence + 1);
        }

        var sizes = Tensor.Temporary([count], ElementType.I32);
        sizes.Ints.Clear();
        foreach (var sequence in sequences)
            if (sequence >= 0) sizes.Ints[sequence]++;
        return sizes;
    }

    /// <summary>[sequences, groups]: which share of a sequence's choices each group is.</summary>
    private static Tensor Shares(Tensor choices, ReadOnlySpan<int> sequences, ReadOnlySpan<int> sizes, int groups)
    {
        var shares = Tensor.Temporary([sizes.Length, groups]);
        var share = shares.Floats;
        share.Clear();
        var chosen = choices.Ints;
        var each = choices.Shape[1];
        for (var i = 0; i < chosen.Length; i++)
        {
            if ((uint)chosen[i] >= (uint)groups)
                throw new ShapeException($"balance loss: choice {chosen[i]} is not one of {groups} groups");
            if (sequences[i / each] >= 0) share[(sequences[i / each] * groups) + chosen[i]]++;
        }

        for (var i = 0; i < share.Length; i++) share[i] /= Math.Max(1, sizes[i / groups] * each);
        return shares;
    }

    private sealed class BalanceLossEntry : TapeEntry
    {
        public Tensor Probabilities = null!, Shares = null!, Sequences = null!, Sizes = null!;

        public override void Backward()
        {
            var gradient = Probabilities.Slot!.Add();
            var (tokens, groups) = (Probabilities.Shape[0], Probabilities.Shape[1]);
            var sequences = Sequences.Ints;
            var sizes = Sizes.Ints;
            long present = sizes.Length - sizes.Count(0);
            for (var token = 0; token < tokens; token++)
            {
                var sequence = sequences[token];
                if (sequence < 0) continue;
                var factor = OutputGradient[0] * groups / (present * sizes[sequence]);
                var share = Shares.Floats.Slice(sequence * groups, groups);
                for (var group = 0; group < groups; group++) gradient[(token * groups) + group] += factor * share[group];
            }
        }
    }
}
