using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Computes output, log-sums and, where wanted, entropies.</summary>
    public static void Forward(FlashAttentionProblem problem)
    {
        if (IsDecode(problem))
        {
            Decode(problem);
            return;
        }

        var operations = 2.0 * problem.Batch * problem.Heads * problem.QueryCount * problem.KeyCount * (problem.Width + problem.ValueWidth);
        var gathered = Gather(ref problem, backward: false);
        var rows = problem.Mask.ChosenBlock == 0 ? 0 : (long)problem.Batch * problem.Heads * problem.QueryCount;
        var states = Arena.Current.Take(rows * sizeof(RowState));
        problem.States = (RowState*)states;
        var work = new ForwardWork { Problem = problem, QueriesOfItem = QueriesOfItem(problem) };
        work.Items = problem.Batch * problem.Heads * Words(problem.QueryCount, work.QueriesOfItem);
        KernelProfile.Note(operations, 0);
        Simd.Run(ref work, work.Parts = Parts(work.Items, operations));
        Arena.Current.Return(states, rows * sizeof(RowState));
        GiveBack(gathered);
    }

    /// <summary>A tile; where queries choose their keys, so many that those which choose the same fill tiles.</summary>
    private static int QueriesOfItem(in FlashAttentionProblem problem)
    {
        const int Least = 8 * FlashAttentionTile.Size, Max = 256 * FlashAttentionTile.Size;
        if (problem.Mask.ChosenBlock == 0) return FlashAttentionTile.Size;
        var share = (long)problem.Batch * problem.Heads * problem.QueryCount / (2 * Simd.Threads);
        return RoundUp((int)Math.Clamp(share, Least, Max), FlashAttentionTile.Size);
    }

    /// <summary>An item is some queries of one head, which go over all keys.</summary>
    private struct ForwardWork : IVectorWork, IAttentionItems
    {
        public FlashAttentionProblem Problem;
        public int QueriesOfItem, Items, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Items, Parts, part);
            Problem.Factors.Run<V, ForwardWork>(ref this, start, end);
        }

        public readonly void Do<V, F>(int item) where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
        {
            // The last queries of a causal mask see most; begun first, they leave no thread waiting at the end.
            var items = Words(Problem.QueryCount, QueriesOfItem);
            var (row, firstQuery) = (item / items, (items - 1 - (item % items)) * QueriesOfItem);
            var tile = new ForwardTile<V, F>(Problem);
            if (Problem.Mask.ChosenBlock == 0) tile.Run(row / Problem.Heads, row % Problem.Heads, firstQuery);
            else
                tile.RunGroups(
                    row / Problem.Heads, row % Problem.Heads, firstQuery, Math.Min(Problem.QueryCount, firstQuery + QueriesOfItem));
        }
    }

    /// <summary>Running maxima, sums and outputs of one tile of queries; as the scores, with queries in the lanes.</summary>
    private ref struct ForwardTile<V, F> where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
    {
        private readonly ref readonly FlashAttentionProblem _problem;
        private FlashAttentionTile _tile;

        /// <summary>[lanes] each: a reference near the largest score so far (<see cref="FlashAttentionSoftmax.Slack"/>), the sum of the
        /// powers above it, the sum of power times score above it (for the entropy), and by what the last tile scales what came
        /// before.</summary>
        private readonly float* _greatest, _sum, _spread, _decay;

        /// <summary>[value width, lanes].</summary>
        private readonly float* _output;

        /// <summary>[queries, the larger width]: rows of queries that do not follow each other, and of their output.</summary>
        private readonly float* _rows;

        public ForwardTile(in FlashAttentionProblem problem)
        {
            _problem = ref problem;
            const int Size = FlashAttentionTile.Size;
            long lanes = Size + V.Count, width = RoundUp(problem.Width, V.Count * F.PerWord), valueWidth = problem.ValueWidth;
            var next = FlashAttentionScratch.Floats(
                (2 * Size) + (lanes * (width + valueWidth + Size + 4)) + (Size * Math.Max(width, valueWidth))
                + problem.Bias.RoomFloats(backward: false));
            _tile.Words = (ulong*)next;
            _tile.PackedQueries = next += 2 * Size;
            _tile.Scores = next += width * lanes;
            _output = next += Size * lanes;
            _greatest = next += valueWidth * lanes;
            _sum = next += lanes;
            _spread = next += lanes;
            _decay = next += lanes;
            _rows = next += lanes;
            _tile.BiasRoom = next + (Size * Math.Max(width, valueWidth));
        }

        /// <summary>Does the tile of consecutive queries that begins at <paramref name="firstQuery"/>.</summary>
        public void Run(int batch, int head, int firstQuery)
        {
            _tile.Select<V, F>(_problem, batch, head, firstQuery);
            Visit(_problem.FirstKey, _problem.KeyCount, sinks: true);
            for (var query = 0; query < _tile.Queries; query++)
                _decay[query] = Normalize(_problem, _problem.RowOffset(batch, head, firstQuery + query), State(query));
            ScaleOutput();
            FlashAttentionTranspose.Run(
                _output, _tile.Lanes, _problem.ValueWidth, _tile.Queries, 1, _problem.Output.At(batch, head, firstQuery),
                _problem.Output.Stride);
        }

        /// <summary>Does tiles of queries that see the same block of keys, block by block; what a query has seen so far is kept
        /// where its output goes to.</summary>
        public void RunGroups(int batch, int head, int firstQuery, int lastQuery)
        {
            for (var query = firstQuery; query < lastQuery; query++)
            {
                new Span<float>(_problem.Output.At(batch, head, query), _problem.ValueWidth).Clear();
                _problem.State(batch, head, query) = RowState.Start(_problem, head, sinks: true);
            }

            var indices = stackalloc int[FlashAttentionTile.Size];
            var first = _problem.FirstKey / _problem.Mask.ChosenBlock * _problem.Mask.ChosenBlock;
            for (var key = first; key < _problem.KeyCount; key += _problem.Mask.ChosenBlock)
            {
                var lastKey = Math.Min(_problem.KeyCount, key + _problem.Mask.ChosenBlock);
                var group = new FlashAttentionGroup(indices, firstQuery, lastQuery);
                while (group.Next(_problem, batch, head, key, lastKey - key))
                {
                    _tile.Select<V, F>(group, batch, head);
                    Expect();
                    Visit(key, lastKey, sinks: false);
                    Merge();
                }
            }

            for (var query = firstQuery; query < lastQuery; query++)
            {
                var output = _problem.Output.At(batch, head, query);
                var scale = Normalize(_problem, _problem.RowOffset(batch, head, query), _problem.State(batch, head, query));
                ScaleRow<V>(output, scale, _problem.ValueWidth, output);
            }
        }

        private void Visit(int firstKey, int lastKey, bool sinks)
        {
            var (queries, stride) = _tile.Rows<V>(_problem.Queries, _problem.Width, _rows);
            _tile.PackFactors<V, F>(
                (float*)queries, stride, _problem.Width, _problem.Scale * FlashAttentionProblem.Log2E, _tile.PackedQueries);
            _problem.Bias.Pack<V, F>(_tile, backward: false);
            Start(sinks);
            (firstKey, lastKey) = _tile.Reach(_problem, firstKey, lastKey);
            for (var key = firstKey; key < lastKey; key += FlashAttentionTile.Size)
            {
                var coverage = _tile.Visit(_problem, key);
                if (coverage == Coverage.None) continue;
                _tile.Score<V, F>(_problem, coverage, slope: null);
                if (Soften()) ScaleOutput();
                AddValues();
            }
        }

        /// <summary>Has the caches fetch, while the scores are made, the rows that the results will be added to.</summary>
        private readonly void Expect()
        {
            for (var query = 0; query < _tile.Queries; query++)
                _problem.Output.Prefetch(_tile.Batch, _tile.Head, _tile.Query(query), 1, _problem.ValueWidth);
        }

        private readonly RowState State(int query) => new(_greatest[query], _sum[query], _spread[query]);

        private readonly void Merge()
        {
            var width = _problem.ValueWidth;
            FlashAttentionTranspose.Run(_output, _tile.Lanes, width, _tile.Queries, 1, _rows, width);
            for (var query = 0; query < _tile.Queries; query++)
            {
                var output = _problem.Output.At(_tile.Batch, _tile.Head, _tile.Query(query));
                MergeRow<V>(
                    ref _problem.State(_tile.Batch, _tile.Head, _tile.Query(query)), output, State(query), _rows + (query * (nint)width),
                    width);
            }
        }

        private readonly void Start(bool sinks)
        {
            var start = RowState.Start(_problem, _tile.Head, sinks);
            for (var lane = 0; lane < _tile.Lanes; lane += V.Count)
            {
                V.All(start.Greatest).Store(_greatest + lane);
                V.All(start.Sum).Store(_sum + lane);
                V.Zero.Store(_spread + lane);
            }

            for (var i = 0; i < _problem.ValueWidth * _tile.Lanes; i += V.Count) V.Zero.Store(_output + i);
        }

        /// <summary>Turns scores into powers of two of what they are above the references; says whether one of these has moved.</summary>
        private readonly bool Soften()
        {
            var (keys, lanes) = (_tile.Keys, _tile.Lanes);
            FlashAttentionSoftmax.Largest<V>(_tile.Scores, keys, lanes, _decay);
            var moved = FlashAttentionSoftmax.Raise(_greatest, _decay, lanes);
            for (var lane = 0; lane < lanes && moved; lane += V.Count)
            {
                V rise = V.Load(_decay + lane), decay = V.Exp2(rise), sum = V.Load(_sum + lane);
                decay.Store(_decay + lane);
                (decay * sum).Store(_sum + lane);
                (decay * (V.Load(_spread + lane) + (rise * sum))).Store(_spread + lane);
            }

            if (_problem.Entropy != null) AddSpread();
            FlashAttentionSoftmax.Powers<V>(_tile.Scores, keys, lanes, _greatest, _sum);
            return moved;
        }

        private readonly void AddSpread()
        {
            for (var lane = 0; lane < _tile.Lanes; lane += V.Count)
            {
                V reference = V.Load(_greatest + lane), spread = V.Load(_spread + lane);
                for (var key = 0; key < _tile.Keys; key++)
                {
                    // A hidden score is −∞ and its power 0; the bound keeps their product 0.
                    var above = V.Larger(V.All(-1000), V.Load(_tile.Scores + (key * _tile.Lanes) + lane) - reference);
                    spread = V.MultiplyAdd(V.Exp2(above), above, spread);
                }

                spread.Store(_spread + lane);
            }
        }

        private readonly void ScaleOutput()
        {
            for (var d = 0; d < _problem.ValueWidth; d++)
            {
                for (var lane = 0; lane < _tile.Lanes; lane += V.Count)
                {
                    var output = _output + (d * _tile.Lanes) + lane;
                    (V.Load(output) * V.Load(_decay + lane)).Store(output);
                }
            }
        }

        private readonly void AddValues()
        {
            F.FoldRows(_tile.Scores, _tile.Keys, _tile.Lanes);
            var values = _problem.ValueSums.At(_tile.Batch, _tile.Head / _problem.Group, _tile.FirstKey / F.PerWord);
            var (number, word) = F.SumStrides(_problem.ValueSums.Stride);
            F.Multiply(
                values, number, word, _tile.Scores, _tile.Lanes, _output, _tile.Lanes, _problem.ValueWidth, _tile.Lanes,
                F.Words(_tile.Keys), add: true);
        }
    }
}
