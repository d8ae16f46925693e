namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>
    /// Goes over tiles and adds their gradients. With p the probabilities of a tile, transposed as its scores are:
    /// <c>dv += p dy</c>, <c>ds = p ∘ (v dyᵀ − flow)</c>, <c>dk += ds q</c>, <c>dqᵀ += kᵀ ds</c>.
    /// </summary>
    private ref struct BackwardSweep<V, F> where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
    {
        private readonly ref readonly FlashAttentionProblem _problem;
        private readonly ref readonly FlashAttentionGradients _gradients;
        private readonly ref readonly FlashAttentionBiasSums _biasSums;
        private readonly bool _keySide, _querySide, _bias;
        private readonly int _firstKey, _lastKey;

        /// <summary>Widths of keys and values rounded up to whole vectors.</summary>
        private readonly int _width, _valueWidth;

        private FlashAttentionTile _tile;

        /// <summary>Of the queries at hand; null where not wanted.</summary>
        private void* _sums;

        /// <summary>Of the tile of queries: [queries, width] times scale and log₂ e; of the output's gradient: [queries, value width], and
        /// transposed.</summary>
        private readonly float* _queryRows, _outputRows, _packedOutput;

        /// <summary>[queries, the larger width]: rows of queries that do not follow each other, and of their gradients.</summary>
        private readonly float* _rows;

        /// <summary>[lanes] each.</summary>
        private readonly float* _logSum, _flow;

        /// <summary>[keys, lanes] each: the gradients of the scores, the slope of the soft cap.</summary>
        private readonly float* _scores, _slope;

        /// <summary>[keys, lanes / numbers in a word]: the gradients of the scores, for the sum over queries.</summary>
        private readonly float* _folded;

        /// <summary>[width, lanes]: the gradients of the tile's queries.</summary>
        private readonly float* _queryGradient;

        /// <summary>[keys from first to last, width]: the gradients of keys and values.</summary>
        private readonly float* _keyGradient, _valueGradient;

        public BackwardSweep(
            in FlashAttentionProblem problem, in FlashAttentionGradients gradients, in FlashAttentionBiasSums biasSums,
            int firstKey, int lastKey, Pass pass)
        {
            _problem = ref problem;
            _gradients = ref gradients;
            _biasSums = ref biasSums;
            (_firstKey, _lastKey) = (firstKey, lastKey);
            _keySide = pass != Pass.Queries && (!gradients.Keys.IsNull || !gradients.Values.IsNull);
            _querySide = pass != Pass.Keys && !gradients.Queries.IsNull;
            _bias = pass != Pass.Keys && gradients.Bias.AreWanted;
            (_width, _valueWidth) = (RoundUp(problem.Width, V.Count * F.PerWord), RoundUp(problem.ValueWidth, V.Count * F.PerWord));

            const int Size = FlashAttentionTile.Size;
            long lanes = Size + V.Count, keys = _keySide ? lastKey - firstKey : 0;
            long tile = Size * lanes, width = _width, valueWidth = _valueWidth;
            var next = FlashAttentionScratch.Floats((2 * Size) + (4 * tile) + (2 * lanes) + (lanes * ((2 * width) + valueWidth))
                + (lanes * (width + valueWidth + Math.Max(width, valueWidth))) + (keys * (width + valueWidth))
                + problem.Bias.RoomFloats(backward: true));
            _tile.Words = (ulong*)next;
            _tile.Scores = next += 2 * Size;
            _scores = next += tile;
            _slope = next += tile;
            _folded = next += tile;
            _logSum = next += tile;
            _flow = next += lanes;
            _tile.PackedQueries = next += lanes;
            _queryGradient = next += lanes * width;
            _packedOutput = next += lanes * width;
            _queryRows = next += lanes * valueWidth;
            _outputRows = next += lanes * width;
            _rows = next += lanes * valueWidth;
            _keyGradient = next += lanes * Math.Max(width, valueWidth);
            _valueGradient = next += keys * width;
            _tile.BiasRoom = next + (keys * valueWidth);
            new Span<float>(_keyGradient, checked((int)(keys * (width + valueWidth)))).Clear();
        }

        /// <summary>Does all queries of the heads that share a key head.</summary>
        public void Run(int batch, int keyHead)
        {
            for (var head = keyHead * _problem.Group; head < (keyHead + 1) * _problem.Group; head++)
                RunQueries(batch, head, 0, _problem.QueryCount);
            if (!_keySide) return;
            for (var key = _firstKey; key < _lastKey; key++)
            {
                var row = (nint)(key - _firstKey);
                if (!_gradients.Keys.IsNull)
                    AddRow<V>(
                        _keyGradient + (row * _width), 1 / FlashAttentionProblem.Log2E, _gradients.Keys.At(batch, keyHead, key),
                        _problem.Width);
                if (!_gradients.Values.IsNull)
                    AddRow<V>(_valueGradient + (row * _valueWidth), 1, _gradients.Values.At(batch, keyHead, key), _problem.ValueWidth);
            }
        }

        /// <summary>Does some queries of a head: in tiles as they stand or, where they choose their keys, of those that see the same
        /// block.</summary>
        public void RunQueries(int batch, int head, int firstQuery, int lastQuery)
        {
            if (_bias) _sums = _biasSums.Begin(_problem, batch, head, firstQuery);
            if (_problem.Mask.ChosenBlock == 0)
            {
                for (var query = firstQuery; query < lastQuery; query += FlashAttentionTile.Size)
                {
                    _tile.Select<V, F>(_problem, batch, head, query);
                    Visit(_firstKey, _lastKey);
                }

                return;
            }

            var indices = stackalloc int[FlashAttentionTile.Size];
            for (var key = _firstKey; key < _lastKey; key += _problem.Mask.ChosenBlock)
            {
                var lastKey = Math.Min(_lastKey, key + _problem.Mask.ChosenBlock);
                var group = new FlashAttentionGroup(indices, firstQuery, lastQuery);
                while (group.Next(_problem, batch, head, key, lastKey - key))
                {
                    _tile.Select<V, F>(group, batch, head);
                    Visit(key, lastKey);
                }
            }
        }

        private void Visit(int firstKey, int lastKey)
        {
            var packed = false;
            (firstKey, lastKey) = _tile.Reach(_problem, firstKey, lastKey);
            for (var key = firstKey; key < lastKey; key += FlashAttentionTile.Size)
            {
                var coverage = _tile.Visit(_problem, key);
                if (coverage == Coverage.None) continue;
                if (!packed) Pack();
                packed = true;
                _tile.Score<V, F>(_problem, coverage, _slope);
                Differentiate();
                AddProducts();
            }

            if (packed && _querySide) AddQueryGradient();
            if (packed && _bias) _problem.Bias.AddPackedGradient<V, F>(_problem, _gradients.Bias, _tile, _sums);
        }

        private readonly void Pack()
        {
            PackRows(
                _problem.Queries, _problem.Width, _problem.Scale * FlashAttentionProblem.Log2E, _tile.PackedQueries, _queryRows, _width);
            PackRows(_gradients.Output, _problem.ValueWidth, 1, _packedOutput, _outputRows, _valueWidth);
            for (var lane = 0; lane < _tile.Lanes; lane++)
            {
                var row = lane < _tile.Queries ? _problem.RowOffset(_tile.Batch, _tile.Head, _tile.Query(lane)) : -1;
                _logSum[lane] = row < 0 ? 0 : _problem.LogSum[row];
                _flow[lane] = row < 0 ? 0 : _gradients.Flow[row];
            }

            if (_querySide) new Span<float>(_queryGradient, _problem.Width * _tile.Lanes).Clear();
            _problem.Bias.Pack<V, F>(_tile, backward: true);
        }

        private readonly void PackRows(in AttentionRows from, int width, float factor, float* packed, float* rows, int paddedWidth)
        {
            var (address, stride) = _tile.Rows<V>(from, width, _rows);
            _tile.PackFactors<V, F>((float*)address, stride, width, factor, packed);
            if (_keySide) F.PackRows((float*)address, stride, _tile.Queries, _tile.Lanes, width, factor, rows, paddedWidth);
        }

        /// <summary>Turns scores into probabilities, and the gradients of probabilities into those of products of queries and
        /// keys.</summary>
        private readonly void Differentiate()
        {
            var values = _problem.ValueWords.At(_tile.Batch, _tile.Head / _problem.Group, _tile.FirstKey);
            F.Multiply(
                values, _problem.ValueWords.Stride, 1, _packedOutput, _tile.Lanes, _scores, _tile.Lanes, _tile.Keys, _tile.Lanes,
                F.Words(_problem.ValueWidth), add: false);
            FlashAttentionSoftmax.Differentiate<V>(_tile.Scores, _scores, _tile.Keys, _tile.Lanes, _logSum, _flow);
            if (_bias) _problem.Bias.AddGradient<V, F>(_problem, _gradients.Bias, _tile, _scores, _sums);
            if (_problem.SoftCap <= 0) return;
            for (var i = 0; i < _tile.Keys * _tile.Lanes; i += V.Count) (V.Load(_scores + i) * V.Load(_slope + i)).Store(_scores + i);
        }

        private readonly void AddProducts()
        {
            int keys = _tile.Keys, lanes = _tile.Lanes, queryWords = lanes / F.PerWord;
            if (_keySide)
            {
                var first = (nint)(_tile.FirstKey - _firstKey);
                var probabilities = F.FoldLanes(_tile.Scores, keys, lanes, _tile.Scores);
                F.Multiply(
                    probabilities, queryWords, 1, _outputRows, _valueWidth, _valueGradient + (first * _valueWidth), _valueWidth,
                    keys, _valueWidth, queryWords, add: true);
                var scores = F.FoldLanes(_scores, keys, lanes, _folded);
                F.Multiply(
                    scores, queryWords, 1, _queryRows, _width, _keyGradient + (first * _width), _width, keys, _width, queryWords,
                    add: true);
            }

            if (!_querySide) return;
            F.FoldRows(_scores, keys, lanes);
            var keySums = _problem.KeySums.At(_tile.Batch, _tile.Head / _problem.Group, _tile.FirstKey / F.PerWord);
            var (number, word) = F.SumStrides(_problem.KeySums.Stride);
            F.Multiply(
                keySums, number, word, _scores, lanes, _queryGradient, lanes, _problem.Width, lanes, F.Words(keys), add: true);
        }

        private readonly void AddQueryGradient()
        {
            var width = _problem.Width;
            FlashAttentionTranspose.Run(_queryGradient, _tile.Lanes, width, _tile.Queries, 1, _rows, width);
            for (var query = 0; query < _tile.Queries; query++)
                AddRow<V>(
                    _rows + (query * (nint)width), _problem.Scale, _gradients.Queries.At(_tile.Batch, _tile.Head, _tile.Query(query)),
                    width);
        }
    }
}
