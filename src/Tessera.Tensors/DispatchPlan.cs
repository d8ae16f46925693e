namespace Tessera.Tensors;

/// <summary>
/// Which token goes to which group (expert, head or block) and where it lies when the tokens of a group are put side by
/// side. Routers make plans; <see cref="Op.Dispatch"/>, the grouped product and <see cref="Op.Combine"/> carry
/// them out. A <em>slot</em> is one token at one of its groups; slots are sorted by group, then by token.
/// </summary>
public readonly struct DispatchPlan
{
    private DispatchPlan(Tensor choices, Tensor offsets, Tensor tokens, Tensor slots) =>
        (Choices, Offsets, Tokens, Slots) = (choices, offsets, tokens, slots);

    /// <summary>I32 [tokens, choices]: the groups of each token.</summary>
    public Tensor Choices { get; }

    /// <summary>I32 [groups + 1]: where each group's slots start; the last is the number of slots.</summary>
    public Tensor Offsets { get; }

    /// <summary>I32 [slots]: the token in each slot.</summary>
    public Tensor Tokens { get; }

    /// <summary>I32 [tokens, choices]: the slot of each token's choice; −1 of padding, which goes nowhere.</summary>
    public Tensor Slots { get; }

    /// <summary>The number of groups.</summary>
    public int Groups => Offsets.Shape[0] - 1;

    /// <summary>The share of slots that goes to a group, 0 to 1.</summary>
    public float Share(int group)
    {
        var slots = (float)Math.Max(1, Tokens.Shape[0]);
        return (Offsets.Ints[group + 1] - Offsets.Ints[group]) / slots;
    }

    /// <summary>Adds how many slots each group has.</summary>
    /// <param name="counts">A number for each group; added to.</param>
    /// <exception cref="ShapeException">There are not as many counts as groups.</exception>
    public void AddCounts(Span<long> counts)
    {
        if (counts.Length != Groups) throw new ShapeException($"add counts: {counts.Length} counts do not fit {Groups} groups");
        var offsets = Offsets.Ints;
        for (var group = 0; group < counts.Length; group++) counts[group] += offsets[group + 1] - offsets[group];
    }

    /// <summary>A plan from each token's choices.</summary>
    /// <param name="choices">I32 [tokens, choices], each from 0 to <paramref name="groups"/> − 1.</param>
    /// <param name="groups">How many groups there are.</param>
    /// <param name="padding">Which tokens go nowhere, whatever they chose; none unless said.</param>
    /// <exception cref="ShapeException">A choice is not a group, or the padding is of another number of tokens.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of groups is negative.</exception>
    public static DispatchPlan From(Tensor choices, int groups, in TokenPadding padding = default)
    {
        ShapeException.Require(
            choices.Type == ElementType.I32 && choices.Shape.Rank == 2, "dispatch plan", "choices", choices, "I32 [tokens, choices]");
        ArgumentOutOfRangeException.ThrowIfNegative(groups);
        var each = choices.Shape[1];
        if (!padding.IsNone && padding.Tokens != choices.Shape[0])
            throw new ShapeException($"dispatch plan: padding of {padding.Tokens} tokens does not fit choices of {choices.Shape[0]}");
        var offsets = Tensor.Temporary([groups + 1], ElementType.I32);
        offsets.Ints.Clear();
        for (var i = 0; i < choices.Ints.Length; i++)
        {
            var group = choices.Ints[i];
            if ((uint)group >= (uint)groups) throw new ShapeException($"dispatch plan: choice {group} is not one of {groups} groups");
            if (padding.IsNone || !padding[i / each]) offsets.Ints[group + 1]++;
        }

        for (var group = 0; group < groups; group++) offsets.Ints[group + 1] += offsets.Ints[group];
        var tokens = Tensor.Temporary([offsets.Ints[groups]], ElementType.I32);
        var slots = Tensor.Temporary(choices.Shape, ElementType.I32);
        var next = Tensor.Temporary([groups], ElementType.I32).Ints;
        offsets.Ints[..groups].CopyTo(next);
        for (var i = 0; i < choices.Ints.Length; i++)
        {
            if (!padding.IsNone && padding[i / each])
            {
                slots.Ints[i] = -1;
                continue;
            }

            var slot = next[choices.Ints[i]]++;
            tokens.Ints[slot] = i / each;
            slots.Ints[i] = slot;
        }

        GC.KeepAlive(choices);
        return new DispatchPlan(choices, offsets, tokens, slots);
    }
}
