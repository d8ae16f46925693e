using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Whether there are so few queries that vectors along the width beat vectors across queries.</summary>
    private static bool IsDecode(in FlashAttentionProblem problem) => problem.QueryCount <= Simd.Level switch
    {
        >= KernelLevel.Vector512 => 6,
        KernelLevel.Vector256 => 3,
        KernelLevel.Vector128 => 1,
        _ => 0,
    };

    /// <summary>
    /// An item is a key head of a batch row: one walk over its keys and values serves all queries of all heads that share it,
    /// because reading the cache is what decoding costs.
    /// </summary>
    private struct DecodeWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public int Items, Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Items, Parts, part);
            for (var item = start; item < end; item++) new DecodeHead<V>(Problem, item / Problem.KeyHeads, item % Problem.KeyHeads).Run();
        }
    }

    /// <summary>Running maxima, sums and outputs of the queries that share one key head.</summary>
    private readonly ref struct DecodeHead<V> where V : struct, ILanes<V>
    {
        private const int Size = FlashAttentionTile.Size;

        private readonly ref readonly FlashAttentionProblem _problem;
        private readonly int _batch, _keyHead, _rows;

        /// <summary>[keys of a tile]; [rows] each: maxima, sums, spreads as in a tile of many queries; [rows, value width].</summary>
        private readonly float* _scores, _greatest, _sum, _spread, _output;

        public DecodeHead(in FlashAttentionProblem problem, int batch, int keyHead)
        {
            _problem = ref problem;
            (_batch, _keyHead, _rows) = (batch, keyHead, problem.Group * problem.QueryCount);
            _scores = FlashAttentionScratch.Floats(Size + (_rows * (problem.ValueWidth + 3L)));
            _greatest = _scores + Size;
            _sum = _greatest + _rows;
            _spread = _sum + _rows;
            _output = _spread + _rows;
        }

        public void Run()
        {
            for (var row = 0; row < _rows; row++)
            {
                _greatest[row] = _problem.Sinks != null ? _problem.Sinks[Head(row)] * FlashAttentionProblem.Log2E : BelowAllScores;
                _sum[row] = _problem.Sinks != null ? 1 : 0;
                _spread[row] = 0;
            }

            new Span<float>(_output, _rows * _problem.ValueWidth).Clear();
            for (var key = 0; key < _problem.KeyCount; key += Size)
            {
                var keys = Math.Min(Size, _problem.KeyCount - key);
                for (var row = 0; row < _rows; row++) Visit(row, key, keys);
            }

            for (var row = 0; row < _rows; row++) Finish(row);
        }

        private int Head(int row) => (_keyHead * _problem.Group) + (row / _problem.QueryCount);

        private int Query(int row) => row % _problem.QueryCount;

        private void Visit(int row, int firstKey, int keys)
        {
            var (head, query) = (Head(row), Query(row));
            var coverage = _problem.Mask.Tile(_batch, head, query, 1, firstKey, keys);
            if (coverage == Coverage.None) return;
            var seen = coverage == Coverage.All ? ulong.MaxValue : _problem.Mask.Row(_batch, head, query, firstKey);
            seen &= ulong.MaxValue >> (Size - keys);
            if (seen == 0) return;

            Score(row, firstKey, keys);
            if (_problem.SoftCap > 0) FlashAttentionTile.Cap<V>(_scores, Size, _problem.SoftCap * FlashAttentionProblem.Log2E, slope: null);
            if (_problem.Bias != null)
            {
                var bias = _problem.Bias + _problem.BiasOffset(_batch, head, query) + firstKey;
                for (var key = 0; key < keys; key++) _scores[key] += bias[key] * FlashAttentionProblem.Log2E;
            }

            if (seen != ulong.MaxValue)
                for (var key = 0; key < Size; key++) _scores[key] = (seen >> key & 1) != 0 ? _scores[key] : float.NegativeInfinity;
            AddValues(row, firstKey, keys, Soften(row));
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private void Score(int row, int firstKey, int keys)
        {
            var query = _problem.Queries.At(_batch, Head(row), Query(row));
            var key = _problem.Keys.At(_batch, _keyHead, firstKey);
            var (width, stride, scale) = (_problem.Width, _problem.Keys.Stride, _problem.Scale * FlashAttentionProblem.Log2E);
            var index = 0;
            for (; index + 4 <= keys; index += 4, key += 4 * stride)
            {
                float* key1 = key + stride, key2 = key1 + stride, key3 = key2 + stride;
                V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
                var d = 0;
                for (; d + V.Count <= width; d += V.Count)
                {
                    var q = V.Load(query + d);
                    s0 = V.MultiplyAdd(q, V.Load(key + d), s0);
                    s1 = V.MultiplyAdd(q, V.Load(key1 + d), s1);
                    s2 = V.MultiplyAdd(q, V.Load(key2 + d), s2);
                    s3 = V.MultiplyAdd(q, V.Load(key3 + d), s3);
                }

                float t0 = s0.Sum(), t1 = s1.Sum(), t2 = s2.Sum(), t3 = s3.Sum();
                for (; d < width; d++)
                {
                    t0 += query[d] * key[d];
                    t1 += query[d] * key1[d];
                    t2 += query[d] * key2[d];
                    t3 += query[d] * key3[d];
                }

                _scores[index] = t0 * scale;
                _scores[index + 1] = t1 * scale;
                _scores[index + 2] = t2 * scale;
                _scores[index + 3] = t3 * scale;
            }

            for (; index < keys; index++, key += stride) _scores[index] = Dot<V>(query, key, width) * scale;
            for (; index < Size; index++) _scores[index] = float.NegativeInfinity;
        }

        /// <summary>Turns scores into powers below the new maximum; returns what earlier output is to be scaled by.</summary>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private float Soften(int row)
        {
            var most = V.Load(_scores);
            for (var key = V.Count; key < Size; key += V.Count) most = V.Larger(most, V.Load(_scores + key));
            var old = _greatest[row];
            var greatest = MathF.Max(old, most.Greatest());
            var decay = MathF.Pow(2, old - greatest);
            if (_problem.Entropy != null)
            {
                var spread = decay * (_spread[row] + ((old - greatest) * _sum[row]));
                for (var key = 0; key < Size; key++)
                {
                    if (_scores[key] > float.NegativeInfinity) spread += MathF.Pow(2, _scores[key] - greatest) * (_scores[key] - greatest);
                }

                _spread[row] = spread;
            }

            var sum = V.Zero;
            for (var key = 0; key < Size; key += V.Count)
            {
                var power = V.Exp2(V.Load(_scores + key) - V.All(greatest));
                power.Store(_scores + key);
                sum += power;
            }

            (_greatest[row], _sum[row]) = (greatest, (_sum[row] * decay) + sum.Sum());
            return decay;
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private void AddValues(int row, int firstKey, int keys, float decay)
        {
            var first = _problem.Values.At(_batch, _keyHead, firstKey);
            var (width, stride) = (_problem.ValueWidth, _problem.Values.Stride);
            var output = _output + (row * (nint)width);
            var d = 0;
            for (; d + (4 * V.Count) <= width; d += 4 * V.Count)
            {
                V scale = V.All(decay), s0 = V.Load(output + d) * scale, s1 = V.Load(output + d + V.Count) * scale;
                V s2 = V.Load(output + d + (2 * V.Count)) * scale, s3 = V.Load(output + d + (3 * V.Count)) * scale;
                var value = first + d;
                for (var key = 0; key < keys; key++, value += stride)
                {
                    var power = V.All(_scores[key]);
                    s0 = V.MultiplyAdd(power, V.Load(value), s0);
                    s1 = V.MultiplyAdd(power, V.Load(value + V.Count), s1);
                    s2 = V.MultiplyAdd(power, V.Load(value + (2 * V.Count)), s2);
                    s3 = V.MultiplyAdd(power, V.Load(value + (3 * V.Count)), s3);
                }

                s0.Store(output + d);
                s1.Store(output + d + V.Count);
                s2.Store(output + d + (2 * V.Count));
                s3.Store(output + d + (3 * V.Count));
            }

            for (; d + V.Count <= width; d += V.Count)
            {
                var sum = V.Load(output + d) * V.All(decay);
                for (var key = 0; key < keys; key++) sum = V.MultiplyAdd(V.All(_scores[key]), V.Load(first + (key * stride) + d), sum);
                sum.Store(output + d);
            }

            for (; d < width; d++)
            {
                var sum = output[d] * decay;
                for (var key = 0; key < keys; key++) sum += _scores[key] * first[(key * stride) + d];
                output[d] = sum;
            }
        }

        private void Finish(int row)
        {
            var scale = Normalize(_problem, _problem.RowOffset(_batch, Head(row), Query(row)), _greatest[row], _sum[row], _spread[row]);
            CopyRow<V>(_output + (row * (nint)_problem.ValueWidth), scale, _problem.ValueWidth, _problem.Output.At(_batch, Head(row), Query(row)), 0);
        }
    }
}
