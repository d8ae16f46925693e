using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// Leaves each row the scores of a few groups of columns and sets those of the others to −∞, so that what is chosen next lies in
    /// few groups. A group's score is the sum of its best columns; the groups of the highest scores stay, of equals the first. NaN counts
    /// as the largest, as in <see cref="TopIndices"/>. No gradient.
    /// <para>DeepSeek-AI 2024 (DeepSeek-V2), <see href="https://arxiv.org/abs/2405.04434"/>, section 2.2.2, with one column; DeepSeek-V3,
    /// <see href="https://arxiv.org/abs/2412.19437"/>, section 2.1.2, with two.</para>
    /// </summary>
    /// <param name="scores">[rows, groups · size].</param>
    /// <param name="groups">How many groups of neighbouring columns; divides the width.</param>
    /// <param name="active">How many of them stay; from 1 to groups.</param>
    /// <param name="best">How many of a group's columns make up its score; from 1 to size.</param>
    /// <returns>[rows, groups · size].</returns>
    /// <exception cref="ShapeException">The scores are not so many groups, or the groups have not so many columns.</exception>
    public static Tensor LimitGroups(Tensor scores, int groups, int active, int best)
    {
        ShapeException.Require(
            scores.Shape.Rank == 2 && groups >= 1 && scores.Shape[1] % groups == 0,
            "limit groups", "scores", scores, $"[rows, a multiple of {groups}]");
        var (rows, size) = (scores.Shape[0], scores.Shape[1] / groups);
        if (active < 1 || active > groups) throw new ShapeException($"limit groups: active is {active}, allowed: 1 to {groups} groups");
        if (best < 1 || best > size) throw new ShapeException($"limit groups: best is {best}, allowed: 1 to the {size} columns of a group");
        var limited = Tensor.Temporary(scores.Shape);
        var places = Math.Max(active, best);
        var work = new LimitedRows
        {
            Scores = scores.Floats, Limited = limited.Floats, Sums = Tensor.Temporary([rows, groups]).Floats,
            Places = Tensor.Temporary([rows, places], ElementType.I32).Ints, Groups = groups, Size = size, Active = active, Best = best,
        };
        RowKernels.Run(work, rows, (2L * best * size * groups) + (2L * active * groups));
        GC.KeepAlive(scores);
        return limited;
    }

    private ref struct LimitedRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> Scores;
        public Span<float> Limited, Sums;
        public Span<int> Places;
        public int Groups, Size, Active, Best;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var (width, count) = (Groups * Size, Math.Max(Active, Best));
                var scores = Scores.Slice(row * width, width);
                var limited = Limited.Slice(row * width, width);
                var sums = Sums.Slice(row * Groups, Groups);
                var best = Places.Slice(row * count, Best);
                for (var group = 0; group < Groups; group++) sums[group] = SumOfBest(scores.Slice(group * Size, Size), best);

                var chosen = Places.Slice(row * count, Active);
                LargestOf(sums, chosen);
                limited.Fill(float.NegativeInfinity);
                foreach (var group in chosen) scores.Slice(group * Size, Size).CopyTo(limited[(group * Size)..]);
            }
        }

        /// <param name="scores">Of a group.</param>
        /// <param name="best">As many places as are summed up; their order is that of the sum.</param>
        private static float SumOfBest(ReadOnlySpan<float> scores, Span<int> best)
        {
            LargestOf(scores, best);
            var sum = 0f;
            foreach (var place in best) sum += scores[place];
            return sum;
        }
    }
}
