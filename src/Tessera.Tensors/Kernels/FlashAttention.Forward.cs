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
        var work = new ForwardWork { Problem = problem, Items = problem.Batch * problem.Heads * Tiles(problem.QueryCount) };
        work.Parts = Parts(work.Items, operations);
        Simd.Run(ref work, work.Parts);
        GiveBack(gathered);
    }

    /// <summary>Notes a row's log-sum and entropy; returns what its output is to be scaled by, 0 where no key was seen.</summary>
    private static float Normalize(in FlashAttentionProblem problem, nint row, float greatest, float sum, float spread)
    {
        var logSum = sum == 0 ? 0 : MathF.Log2(sum);
        problem.LogSum[row] = sum == 0 ? 0 : greatest + logSum;
        if (problem.Entropy != null) problem.Entropy[row] = sum == 0 ? 0 : (logSum - (spread / sum)) / FlashAttentionProblem.Log2E;
        return sum == 0 ? 0 : 1 / sum;
    }

    /// <summary>An item is a tile of queries of one head, which goes over all keys.</summary>
    private struct ForwardWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public int Items, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var tiles = Tiles(Problem.QueryCount);
            var (start, end) = Simd.Share(Items, Parts, part);
            for (var item = start; item < end; item++)
            {
                // The last tiles of a causal mask are the longest; begun first, they leave no thread waiting at the end.
                var (row, tile) = (item / tiles, tiles - 1 - (item % tiles));
                var (batch, head, firstQuery) = (row / Problem.Heads, row % Problem.Heads, tile * FlashAttentionTile.Size);
                if (Problem.Bf16) new ForwardTile<Lanes512, AttentionBf16>(Problem, batch, head, firstQuery).Run();
                else new ForwardTile<V, AttentionF32<V>>(Problem, batch, head, firstQuery).Run();
            }
        }
    }

    /// <summary>Running maxima, sums and outputs of one tile of queries; as the scores, with queries in the lanes.</summary>
    private ref struct ForwardTile<V, F> where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
    {
        private readonly ref readonly FlashAttentionProblem _problem;
        private FlashAttentionTile _tile;

        /// <summary>[lanes] each: the largest score so far, the sum of the powers below it, the sum of power times score
        /// below the maximum (for the entropy), and by what the last tile scales what came before.</summary>
        private readonly float* _greatest, _sum, _spread, _decay;

        /// <summary>[value width, lanes].</summary>
        private readonly float* _output;

        public ForwardTile(in FlashAttentionProblem problem, int batch, int head, int firstQuery)
        {
            _problem = ref problem;
            _tile.Select<V, F>(problem, batch, head, firstQuery);
            const int Size = FlashAttentionTile.Size;
            var lanes = Size + V.Count;
            var next = FlashAttentionScratch.Floats((2 * Size) + (lanes * ((long)problem.Width + problem.ValueWidth + Size + 4)));
            _tile.Words = (ulong*)next;
            _tile.PackedQueries = next += 2 * Size;
            _tile.Scores = next += problem.Width * lanes;
            _output = next += Size * lanes;
            _greatest = next += problem.ValueWidth * lanes;
            _sum = next += lanes;
            _spread = next += lanes;
            _decay = next + lanes;
        }

        public void Run()
        {
            _tile.PackFactors<V, F>(
                _problem.Queries.At(_tile.Batch, _tile.Head, _tile.FirstQuery), _problem.Queries.Stride,
                _problem.Width, _problem.Scale * FlashAttentionProblem.Log2E, _tile.PackedQueries);
            Start();
            for (var key = 0; key < _problem.KeyCount; key += FlashAttentionTile.Size)
            {
                var coverage = _tile.Visit(_problem, key);
                if (coverage == Coverage.None) continue;
                _tile.Score<V, F>(_problem, coverage, slope: null);
                if (Soften()) ScaleOutput();
                AddValues();
            }

            Finish();
        }

        /// <summary>A sink is a key without a value, seen before all others.</summary>
        private readonly void Start()
        {
            var sink = _problem.Sinks != null ? _problem.Sinks[_tile.Head] * FlashAttentionProblem.Log2E : BelowAllScores;
            for (var lane = 0; lane < _tile.Lanes; lane += V.Count)
            {
                V.All(sink).Store(_greatest + lane);
                V.All(_problem.Sinks != null ? 1 : 0).Store(_sum + lane);
                V.Zero.Store(_spread + lane);
            }

            for (var i = 0; i < _problem.ValueWidth * _tile.Lanes; i += V.Count) V.Zero.Store(_output + i);
        }

        /// <summary>Turns scores into powers below the new maxima; says whether a maximum has moved.</summary>
        private readonly bool Soften()
        {
            var moved = false;
            for (var lane = 0; lane < _tile.Lanes; lane += V.Count)
            {
                V old = V.Load(_greatest + lane), greatest = old;
                for (var key = 0; key < _tile.Keys; key++) greatest = V.Larger(greatest, V.Load(_tile.Scores + (key * _tile.Lanes) + lane));

                var decay = V.Exp2(old - greatest);
                moved |= decay.Sum() != V.Count;
                if (_problem.Entropy != null) AddSpread(lane, old, greatest, decay);
                var sum = V.Load(_sum + lane) * decay;
                for (var key = 0; key < _tile.Keys; key++)
                {
                    var score = _tile.Scores + (key * _tile.Lanes) + lane;
                    var power = V.Exp2(V.Load(score) - greatest);
                    power.Store(score);
                    sum += power;
                }

                greatest.Store(_greatest + lane);
                sum.Store(_sum + lane);
                decay.Store(_decay + lane);
            }

            return moved;
        }

        private readonly void AddSpread(int lane, V old, V greatest, V decay)
        {
            var spread = decay * (V.Load(_spread + lane) + ((old - greatest) * V.Load(_sum + lane)));
            for (var key = 0; key < _tile.Keys; key++)
            {
                // A hidden score is −∞ and its power 0; the bound keeps their product 0.
                var below = V.Larger(V.All(-1000), V.Load(_tile.Scores + (key * _tile.Lanes) + lane) - greatest);
                spread = V.MultiplyAdd(V.Exp2(below), below, spread);
            }

            spread.Store(_spread + lane);
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
            F.Multiply(
                values, 1, _problem.ValueSums.Stride, _tile.Scores, _tile.Lanes, _output, _tile.Lanes, _problem.ValueWidth, _tile.Lanes,
                Words(_tile.Keys, F.PerWord), add: true);
        }

        private readonly void Finish()
        {
            var rows = _problem.RowOffset(_tile.Batch, _tile.Head, _tile.FirstQuery);
            for (var query = 0; query < _tile.Queries; query++)
                _decay[query] = Normalize(_problem, rows + query, _greatest[query], _sum[query], _spread[query]);
            ScaleOutput();
            var output = _problem.Output.At(_tile.Batch, _tile.Head, _tile.FirstQuery);
            FlashAttentionTranspose.Run(
                _output, _tile.Lanes, _problem.ValueWidth, _tile.Queries, 1, output, _problem.Output.Stride, add: false);
        }
    }
}
