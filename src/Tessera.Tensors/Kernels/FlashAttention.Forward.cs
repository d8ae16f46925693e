namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Computes output, log-sums and, where wanted, entropies.</summary>
    public static void Forward(in FlashAttentionProblem problem)
    {
        var work = new ForwardWork { Problem = problem, Items = problem.Batch * problem.Heads * Tiles(problem.QueryCount) };
        var operations = 2.0 * problem.Batch * problem.Heads * problem.QueryCount * problem.KeyCount * (problem.Width + problem.ValueWidth);
        work.Parts = Parts(work.Items, operations);
        Simd.Run(ref work, work.Parts);
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
                new ForwardTile<V>(Problem, row / Problem.Heads, row % Problem.Heads, tile * FlashAttentionTile.Size).Run();
            }
        }
    }

    /// <summary>Running maxima, sums and outputs of one tile of queries; as the scores, with queries in the lanes.</summary>
    private ref struct ForwardTile<V> where V : struct, ILanes<V>
    {
        private readonly ref readonly FlashAttentionProblem _problem;
        private FlashAttentionTile _tile;

        /// <summary>[lanes] each: the largest score so far, the sum of the powers below it, the sum of power times score
        /// below the maximum (for the entropy), and by what the last tile scales what came before.</summary>
        private readonly float* _greatest, _sum, _spread, _decay;

        /// <summary>[value width, lanes].</summary>
        private readonly float* _output;

        /// <summary>[keys, value width]: a tile's values side by side, because a stride of 2ⁿ lines thrashes the cache.</summary>
        private readonly float* _values;

        public ForwardTile(in FlashAttentionProblem problem, int batch, int head, int firstQuery)
        {
            _problem = ref problem;
            _tile.Select<V>(problem, batch, head, firstQuery);
            const int Size = FlashAttentionTile.Size;
            var lanes = Size + V.Count;
            var next = FlashAttentionScratch.Floats((lanes * ((long)problem.Width + problem.ValueWidth + Size + 4)) + (Size * (long)problem.ValueWidth) + (2 * Size) + 64);
            _tile.Words = (ulong*)next;
            _tile.PackedQueries = next += 2 * Size;
            _tile.Scores = next += problem.Width * lanes;
            _output = next += Size * lanes;
            _greatest = next += problem.ValueWidth * lanes;
            _sum = next += lanes;
            _spread = next += lanes;
            _decay = next += lanes;
            _values = next + lanes;
        }

        public void Run()
        {
            _tile.Pack(
                _problem.Queries + _problem.QueryOffset(_tile.Batch, _tile.Head, _tile.FirstQuery), _problem.QueryStride,
                _problem.Width, _problem.Scale * FlashAttentionProblem.Log2E, _tile.PackedQueries);
            Start();
            for (var key = 0; key < _problem.KeyCount; key += FlashAttentionTile.Size)
            {
                var coverage = _tile.Visit(_problem, key);
                if (coverage == Coverage.None) continue;
                _tile.Score<V>(_problem, coverage, slope: null);
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
            var width = _problem.ValueWidth;
            var from = _problem.Values + _problem.ValueOffset(_tile.Batch, _tile.Head / _problem.Group, _tile.FirstKey);
            for (var key = 0; key < _tile.Keys; key++)
                new ReadOnlySpan<float>(from + (key * _problem.ValueStride), width).CopyTo(new Span<float>(_values + (key * width), width));
            FlashAttentionProduct.Run<V>(
                _values, 1, width, _tile.Scores, _tile.Lanes, _output, _tile.Lanes, width, _tile.Lanes, _tile.Keys, add: true);
        }

        private readonly void Finish()
        {
            var rows = _problem.RowOffset(_tile.Batch, _tile.Head, _tile.FirstQuery);
            for (var query = 0; query < _tile.Queries; query++)
            {
                var sum = _sum[query];
                var logSum = sum == 0 ? 0 : MathF.Log2(sum); // no key seen
                _problem.LogSum[rows + query] = sum == 0 ? 0 : _greatest[query] + logSum;
                if (_problem.Entropy != null)
                    _problem.Entropy[rows + query] = sum == 0 ? 0 : (logSum - (_spread[query] / sum)) / FlashAttentionProblem.Log2E;

                var scale = sum == 0 ? 0 : 1 / sum;
                var to = _problem.Output + _problem.OutputOffset(_tile.Batch, _tile.Head, _tile.FirstQuery + query);
                for (var d = 0; d < _problem.ValueWidth; d++) to[d] = _output[(d * _tile.Lanes) + query] * scale;
            }
        }
    }
}
