namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>What sends tokens to experts and back.</summary>
internal static class FuzzedRouting
{
    public static FuzzCase Dispatch(Draw draw)
    {
        var plan = new Plan(draw);
        var width = draw.Size(257);
        return FuzzCase.Of(
            $"dispatch by {plan}", t => Op.Dispatch(t[0], plan.Make()),
            t => [.. plan.SlotsInOrder.SelectMany(at => t[0].Skip(at / plan.Each * width).Take(width))], draw.Normal([plan.Tokens, width]));
    }

    public static FuzzCase Combine(Draw draw)
    {
        var plan = new Plan(draw);
        var width = draw.Size(257);
        return FuzzCase.Of(
            $"combine by {plan}", t => Op.Combine(t[0], t[1], plan.Make()),
            t =>
            {
                var y = new Real[plan.Tokens * width];
                for (var slot = 0; slot < plan.SlotsInOrder.Length; slot++)
                {
                    var at = plan.SlotsInOrder[slot];
                    for (var i = 0; i < width; i++) y[(at / plan.Each * width) + i] += t[1][at] * t[0][(slot * width) + i];
                }

                return y;
            },
            draw.Normal([plan.Choices.Length, width]), draw.Normal([plan.Tokens, plan.Each]));
    }

    public static FuzzCase BalanceLoss(Draw draw)
    {
        var plan = new Plan(draw);
        return FuzzCase.Of(
            $"balance loss by {plan}", t => Op.BalanceLoss(t[0], plan.Make()),
            t =>
            {
                Real sum = 0;
                for (var i = 0; i < t[0].Length; i++)
                    sum += t[0][i] * (plan.Choices.Count(group => group == i % plan.Groups) / (double)plan.Choices.Length);
                return [sum * plan.Groups / Math.Max(1, plan.Tokens)];
            },
            draw.Normal([plan.Tokens, plan.Groups]));
    }

    public static FuzzCase Select(Draw draw)
    {
        var (rows, width) = (draw.Size(65), draw.Size(129, 1));
        var (count, normalise) = (draw.Between(1, Math.Min(width, 5)), draw.Coin);
        var (shape, values) = draw.Normal([rows, width]);
        for (var i = 0; i < values.Length; i++) values[i] = 0.1f + Math.Abs(values[i]);
        int[] choices =
        [
            .. values.Chunk(width).SelectMany(row => row.Index().OrderByDescending(one => one.Item).Take(count).Select(one => one.Index))];
        return FuzzCase.Of(
            $"top {count} of, normalised {normalise},", t =>
            {
                var found = Op.TopIndices(t[0], count);
                Assert.Equal(choices, found.Ints.ToArray());
                return Op.Select(t[0], found, normalise, 1.5f);
            },
            t => [.. FuzzedRows.Rows(t[0], width).SelectMany((row, r) =>
            {
                Real[] chosen = [.. Enumerable.Range(0, count).Select(i => row[choices[(r * count) + i]])];
                var sum = normalise ? Real.Sum(chosen) : 1;
                return chosen.Select(score => 1.5 * score / sum);
            })],
            (shape, values));
    }

    public static FuzzCase LimitGroups(Draw draw)
    {
        var (rows, groups, size) = (draw.Size(65), draw.Between(1, 8), draw.Size(33, 1));
        var (active, best) = (draw.Between(1, groups), draw.Between(1, Math.Min(size, 3)));
        var (shape, values) = draw.Normal([rows, groups * size]);
        return new FuzzCase($"limit to {active} of {groups} groups by {best} best of {shape}", _ =>
        {
            using var scope = Arena.Current.Scope();
            float[] expected = [.. values.Chunk(groups * size).SelectMany(row =>
                    {
                        float[] sums =
                        [
                            .. row.Chunk(size)
                                .Select(group => group.OrderDescending().Take(best).Aggregate(0f, (sum, score) => sum + score)),
                        ];
                        int[] chosen = [.. sums.Index().OrderByDescending(one => one.Item).Take(active).Select(one => one.Index)];
                        return row.Select((score, i) => chosen.Contains(i / size) ? score : float.NegativeInfinity);
                    }),
            ];
            Assert.Equal(expected, Op.LimitGroups(FuzzCase.Owned((shape, values)), groups, active, best).ToArray());
        });
    }

    public static FuzzCase ScaleGroups(Draw draw)
    {
        var (rows, size, groups, first) = (draw.Size(65), draw.Size(65), draw.Between(1, 5), draw.Between(0, 2));
        var columns = first + groups + draw.Between(0, 2);
        return FuzzCase.Of(
            $"scale {groups} groups from {first}", t => Op.ScaleGroups(t[0], t[1], groups, first, 1.5f),
            t => [.. t[0].Select((x, i) => 1.5 * x * t[1][(i / (groups * size) * columns) + first + (i % (groups * size) / size)])],
            draw.Normal([rows, groups * size]), draw.Normal([rows, columns]));
    }

    private sealed class Plan
    {
        public Plan(Draw draw)
        {
            (Tokens, Each, Groups) = (draw.Size(65), draw.Between(1, 3), draw.Pick(1, 2, 3, 7, 64));
            Choices = draw.Below(Groups, Tokens * Each);
            SlotsInOrder = [.. Enumerable.Range(0, Choices.Length).OrderBy(at => Choices[at])]; // a stable sort
        }

        public int Tokens { get; }

        public int Each { get; }

        public int Groups { get; }

        public int[] Choices { get; }

        /// <summary>For each slot the place in <see cref="Choices"/> that it serves.</summary>
        public int[] SlotsInOrder { get; }

        public DispatchPlan Make() => DispatchPlan.From(FuzzCase.Owned(Choices, [Tokens, Each]), Groups);

        public override string ToString() => $"{Each} of {Groups}";
    }
}
