using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Keys of one item where the gradients of keys and of queries are computed apart.</summary>
    private const int KeysOfItem = 4 * FlashAttentionTile.Size;

    /// <summary>
    /// Computes gradients from the output and the log-sums, recomputing the probabilities tile by tile. Where there are enough
    /// key heads for the threads each is one item, and a tile is visited once; else it is visited twice, for the gradients
    /// of keys and values in items of some keys, for the queries' in items of some queries.
    /// </summary>
    public static void Backward(FlashAttentionProblem problem, in FlashAttentionGradients gradients)
    {
        var gathered = Gather(ref problem, backward: true);
        var rows = new FlowWork { Problem = problem, Gradients = gradients };
        Simd.Run(ref rows, rows.Parts = Simd.Parts((long)problem.Batch * problem.QueryCount, problem.Heads * problem.ValueWidth));
        if (gradients.Sinks != null) AddSinks(problem, gradients);

        var work = new BackwardWork { Problem = problem, Gradients = gradients };
        var keyHeads = problem.Batch * problem.KeyHeads;
        var operations =
            10.0 * problem.Batch * problem.Heads * problem.QueryCount * problem.KeyCount * Math.Max(problem.Width, problem.ValueWidth);
        var isWhole = keyHeads % Simd.Threads == 0 || keyHeads >= 4 * Simd.Threads || operations < MinWorkOfPart
            || FlashAttentionBiasSums.AreLarge(problem, gradients.Bias);
        work.BiasSums = FlashAttentionBiasSums.Take(problem, gradients.Bias, isWhole ? problem.QueryCount : QueriesOfItem(problem));
        if (gradients.Bias.Table != null && problem.Bias.IsTableOfAllRows)
        {
            // Batch rows add to the same bias: they are done in order.
            Run(ref work, Pass.TableHeads, problem.KeyHeads, operations);
        }
        else if (isWhole)
        {
            Run(ref work, Pass.KeyHeads, keyHeads, operations);
        }
        else
        {
            var keyItems = (problem.KeyCount + KeysOfItem - 1) / KeysOfItem;
            if (!gradients.Keys.IsNull || !gradients.Values.IsNull) Run(ref work, Pass.Keys, keyHeads * keyItems, operations);
            if (!gradients.Queries.IsNull || gradients.Bias.AreWanted)
                Run(ref work, Pass.Queries, problem.Batch * problem.Heads * Words(problem.QueryCount, QueriesOfItem(problem)), operations);
        }

        work.BiasSums.AddUp(problem, gradients.Bias);
        GiveBack(gathered);
    }

    private static void Run(ref BackwardWork work, Pass pass, int items, double operations)
    {
        (work.Pass, work.Items, work.Parts) = (pass, items, Parts(items, operations));
        KernelProfile.Note(operations, 0);
        Simd.Run(ref work, work.Parts);
    }

    /// <summary>A sink takes probability and gives no output: its score's gradient is −p · flow.</summary>
    private static void AddSinks(in FlashAttentionProblem problem, in FlashAttentionGradients gradients)
    {
        for (var head = 0; head < problem.Heads; head++)
        {
            var sum = 0.0;
            for (var batch = 0; batch < problem.Batch; batch++)
            {
                var row = problem.RowOffset(batch, head, 0);
                for (var query = 0; query < problem.QueryCount; query++)
                {
                    var probability = MathF.Pow(2, (problem.Sinks[head] * FlashAttentionProblem.Log2E) - problem.LogSum[row + query]);
                    sum -= (double)probability * gradients.Flow[row + query];
                }
            }

            gradients.Sinks[head] += (float)sum;
        }
    }

    /// <summary>The products of output and gradient, row by row: what the softmax takes back from each score's gradient.</summary>
    private struct FlowWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public FlashAttentionGradients Gradients;
        public int Parts;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Problem.Batch * Problem.QueryCount, Parts, part);
            for (var row = start; row < end; row++)
            {
                var (batch, query) = (row / Problem.QueryCount, row % Problem.QueryCount);
                for (var head = 0; head < Problem.Heads; head++)
                {
                    float* output = Problem.Output.At(batch, head, query), gradient = Gradients.Output.At(batch, head, query);
                    Gradients.Flow[Problem.RowOffset(batch, head, query)] = Problem.Factors != AttentionFactors.F32
                        ? AttentionBf16.Dot(output, gradient, Problem.ValueWidth)
                        : Dot<V>(output, gradient, Problem.ValueWidth);
                }
            }
        }
    }

    /// <summary>What an item of the backward pass is.</summary>
    private enum Pass
    {
        /// <summary>A key head of one batch row with its query heads: all gradients.</summary>
        KeyHeads,

        /// <summary>A key head of all batch rows: all gradients, that of a bias for all pairs too, which the rows share.</summary>
        TableHeads,

        /// <summary>Some keys of a key head: gradients of keys and values.</summary>
        Keys,

        /// <summary>Some queries of a head: gradients of queries and bias.</summary>
        Queries,
    }

    private struct BackwardWork : IVectorWork, IAttentionItems
    {
        public FlashAttentionProblem Problem;
        public FlashAttentionGradients Gradients;
        public FlashAttentionBiasSums BiasSums;
        public Pass Pass;
        public int Items, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Items, Parts, part);
            Problem.Factors.Run<V, BackwardWork>(ref this, start, end);
        }

        public readonly void Do<V, F>(int item) where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
        {
            switch (Pass)
            {
                case Pass.KeyHeads:
                    new BackwardSweep<V, F>(Problem, Gradients, BiasSums, 0, Problem.KeyCount, Pass)
                        .Run(item / Problem.KeyHeads, item % Problem.KeyHeads);
                    break;
                case Pass.TableHeads:
                    for (var batch = 0; batch < Problem.Batch; batch++)
                        new BackwardSweep<V, F>(Problem, Gradients, BiasSums, 0, Problem.KeyCount, Pass).Run(batch, item);
                    break;
                case Pass.Keys:
                    var keyItems = (Problem.KeyCount + KeysOfItem - 1) / KeysOfItem;
                    var first = item % keyItems * KeysOfItem;
                    var row = item / keyItems;
                    new BackwardSweep<V, F>(Problem, Gradients, BiasSums, first, Math.Min(Problem.KeyCount, first + KeysOfItem), Pass)
                        .Run(row / Problem.KeyHeads, row % Problem.KeyHeads);
                    break;
                default:
                    var size = QueriesOfItem(Problem);
                    var queryItems = Words(Problem.QueryCount, size);
                    var (head, firstQuery) = (item / queryItems, (queryItems - 1 - (item % queryItems)) * size);
                    new BackwardSweep<V, F>(Problem, Gradients, BiasSums, 0, Problem.KeyCount, Pass).RunQueries(
                        head / Problem.Heads, head % Problem.Heads, firstQuery, Math.Min(Problem.QueryCount, firstQuery + size));
                    break;
            }
        }
    }
}
