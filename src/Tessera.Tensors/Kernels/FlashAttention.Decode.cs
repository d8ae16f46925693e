using System.Runtime.CompilerServices;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Whether there are so few queries that vectors along the width beat vectors across queries.</summary>
    public static bool IsDecode(in FlashAttentionProblem problem) => problem.QueryCount <= Simd.Level switch
    {
        >= KernelLevel.Vector512 => 6,
        KernelLevel.Vector256 => 3,
        KernelLevel.Vector128 => 1,
        _ => 0,
    };

    /// <summary>
    /// Reading the cache is what decoding costs: keys are cut into ranges, as many as the sizes and the number of threads say, and
    /// one walk over a range serves all heads, whose keys lie side by side. What the ranges give is put together in their order.
    /// </summary>
    private static void Decode(in FlashAttentionProblem problem)
    {
        var work = new DecodeWork { Problem = problem, Ranges = Ranges(problem) };
        work.Items = problem.Batch * work.Ranges;
        var bytes = work.Items * work.RangeFloats * sizeof(float);
        var address = Arena.Current.Take(bytes);
        work.Partial = (float*)address;
        var operations = 2.0 * problem.Batch * work.Rows * problem.KeyCount * (problem.Width + problem.ValueWidth);
        KernelProfile.Note(operations, 0);
        Simd.Run(ref work, work.Parts = Parts(work.Items, operations));
        var merge = new MergeWork { Decode = work };
        Simd.Run(ref merge, merge.Parts = Simd.Parts((long)problem.Batch * work.Rows, (work.Ranges + 1) * work.RowFloats));
        Arena.Current.Return(address, bytes);
    }

    /// <summary>How many ranges the keys of a batch row are cut into.</summary>
    private static int Ranges(in FlashAttentionProblem problem)
    {
        const int MinTiles = 4;
        var wanted = Simd.Threads == 1 ? 1 : RoundUp(2 * Simd.Threads, Math.Max(problem.Batch, 1)) / Math.Max(problem.Batch, 1);
        return Math.Clamp(wanted, 1, Math.Max(Tiles(problem.KeyCount) / MinTiles, 1));
    }

    /// <summary>An item is a range of keys of a batch row.</summary>
    private struct DecodeWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public int Ranges, Items, Parts;

        /// <summary>[batch, ranges, rows, value width + 3]: of each query of each head the output so far and its
        /// <see cref="RowState"/>.</summary>
        public float* Partial;

        /// <summary>Queries of all heads.</summary>
        public readonly int Rows => Problem.Heads * Problem.QueryCount;

        public readonly int RowFloats => Problem.ValueWidth + 3;

        public readonly long RangeFloats => (long)Rows * RowFloats;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Items, Parts, part);
            for (var item = start; item < end; item++)
            {
                var (firstTile, lastTile) = Simd.Share(Tiles(Problem.KeyCount), Ranges, item % Ranges);
                new DecodeRange<V>(Problem, item / Ranges, Partial + (item * RangeFloats))
                    .Run(firstTile * FlashAttentionTile.Size, Math.Min(lastTile * FlashAttentionTile.Size, Problem.KeyCount));
            }
        }
    }

    /// <summary>Puts the ranges of each row together.</summary>
    private struct MergeWork : IVectorWork
    {
        public DecodeWork Decode;
        public int Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Decode.Problem.Batch * Decode.Rows, Parts, part);
            for (var row = start; row < end; row++) Merge<V>(row / Decode.Rows, row % Decode.Rows);
        }

        private readonly void Merge<V>(int batch, int row) where V : struct, ILanes<V>
        {
            var width = Decode.Problem.ValueWidth;
            var (head, query) = (row / Decode.Problem.QueryCount, row % Decode.Problem.QueryCount);
            var all = Decode.Partial + (batch * Decode.Ranges * Decode.RangeFloats) + ((long)row * Decode.RowFloats);
            ref var state = ref *(RowState*)(all + width);
            for (var range = 1; range < Decode.Ranges; range++)
            {
                var next = all + (range * Decode.RangeFloats);
                MergeRow<V>(ref state, all, *(RowState*)(next + width), next, width);
            }

            var scale = Normalize(Decode.Problem, Decode.Problem.RowOffset(batch, head, query), state);
            ScaleRow<V>(all, scale, width, Decode.Problem.Output.At(batch, head, query));
        }
    }

    /// <summary>All heads' queries of a batch row over a range of keys.</summary>
    private ref struct DecodeRange<V> where V : struct, ILanes<V>
    {
        private const int Size = FlashAttentionTile.Size;

        private readonly ref readonly FlashAttentionProblem _problem;
        private readonly int _batch;

        /// <summary>[keys of a tile] both; [rows, value width + 3] as in <see cref="DecodeWork"/>.</summary>
        private readonly float* _scores, _bias, _rows;

        /// <summary>Room for a tile of keys and values that are not F32.</summary>
        private readonly float* _keyRoom, _valueRoom;

        /// <summary>The tile of keys and values at hand: its key head and first key, and its rows.</summary>
        private (int Head, int FirstKey) _tile = (-1, -1);
        private (nint Address, nint Stride) _keys, _values;

        public DecodeRange(in FlashAttentionProblem problem, int batch, float* rows)
        {
            _problem = ref problem;
            _batch = batch;
            _rows = rows;
            _scores = FlashAttentionScratch.Floats(Size * (2 + (long)problem.Width + problem.ValueWidth));
            _bias = _scores + Size;
            _keyRoom = _bias + Size;
            _valueRoom = _keyRoom + (Size * (nint)problem.Width);
        }

        public void Run(int firstKey, int lastKey)
        {
            var (rows, width) = (_problem.Heads * _problem.QueryCount, _problem.ValueWidth);
            for (var row = 0; row < rows; row++)
            {
                State(row) = RowState.Start(_problem, Head(row), sinks: firstKey == 0);
                new Span<float>(Output(row), width).Clear();
            }

            for (var key = Math.Max(firstKey, _problem.FirstKey); key < lastKey; key += Size)
            {
                if (!_problem.Keys.Keeps(_batch, key)) continue;
                for (var row = 0; row < rows; row++) Visit(row, key, Math.Min(Size, lastKey - key));
            }
        }

        private readonly int Head(int row) => row / _problem.QueryCount;

        private readonly int Query(int row) => row % _problem.QueryCount;

        private readonly float* Output(int row) => _rows + (row * (_problem.ValueWidth + 3L));

        private readonly ref RowState State(int row) => ref *(RowState*)(Output(row) + _problem.ValueWidth);

        private void Visit(int row, int firstKey, int keys)
        {
            var (head, query) = (Head(row), Query(row));
            var coverage = _problem.Mask.Tile(_batch, head, query, 1, firstKey, keys);
            if (coverage == Coverage.None) return;
            var seen = coverage == Coverage.All ? ulong.MaxValue : _problem.Mask.Row(_batch, head, query, firstKey);
            seen &= ulong.MaxValue >> (Size - keys);
            if (seen == 0) return;

            Open(head / _problem.Group, firstKey, keys);
            Score(row, keys);
            if (_problem.SoftCap > 0) FlashAttentionTile.Cap<V>(_scores, Size, _problem.SoftCap * FlashAttentionProblem.Log2E, slope: null);
            if (!_problem.Bias.IsNone) AddBias(head, query, firstKey, keys);
            if (seen != ulong.MaxValue)
                for (var key = 0; key < Size; key++) _scores[key] = (seen >> key & 1) != 0 ? _scores[key] : float.NegativeInfinity;
            AddValues(row, keys, Soften(row));
        }

        private readonly void AddBias(int head, int query, int firstKey, int keys)
        {
            _problem.Bias.Row<V>(_problem, _batch, head, query, firstKey, keys, _bias);
            new Span<float>(_bias + keys, Size - keys).Clear();
            for (var key = 0; key < Size; key += V.Count)
                (V.Load(_scores + key) + (V.Load(_bias + key) * V.All(FlashAttentionProblem.Log2E))).Store(_scores + key);
        }

        private void Open(int keyHead, int firstKey, int keys)
        {
            if (_tile == (keyHead, firstKey)) return;
            _tile = (keyHead, firstKey);
            _keys = _problem.Keys.Read(_batch, keyHead, firstKey, keys, _problem.Width, _keyRoom);
            _values = _problem.Values.Are(_problem.Keys)
                ? _keys
                : _problem.Values.Read(_batch, keyHead, firstKey, keys, _problem.ValueWidth, _valueRoom);
            var next = Math.Min(Size, _problem.KeyCount - firstKey - keys);
            _problem.Keys.Prefetch(_batch, keyHead, firstKey + keys, next, _problem.Width);
            _problem.Values.Prefetch(_batch, keyHead, firstKey + keys, next, _problem.ValueWidth);
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private readonly void Score(int row, int keys)
        {
            var query = _problem.Queries.At(_batch, Head(row), Query(row));
            var key = (float*)_keys.Address;
            var (width, stride, scale) = (_problem.Width, _keys.Stride, _problem.Scale * FlashAttentionProblem.Log2E);
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
        private readonly float Soften(int row)
        {
            var max = V.Load(_scores);
            for (var key = V.Count; key < Size; key += V.Count) max = V.Larger(max, V.Load(_scores + key));
            ref var state = ref State(row);
            var (old, spread) = (state.Greatest, 0f);
            var greatest = MathF.Max(old, max.Greatest());
            var decay = MathF.Pow(2, old - greatest);
            if (_problem.Entropy != null)
            {
                spread = decay * (state.Spread + ((old - greatest) * state.Sum));
                for (var key = 0; key < Size; key++)
                {
                    if (_scores[key] > float.NegativeInfinity) spread += MathF.Pow(2, _scores[key] - greatest) * (_scores[key] - greatest);
                }
            }

            var sum = V.Zero;
            for (var key = 0; key < Size; key += V.Count)
            {
                var power = V.Exp2(V.Load(_scores + key) - V.All(greatest));
                power.Store(_scores + key);
                sum += power;
            }

            state = new RowState(greatest, (state.Sum * decay) + sum.Sum(), spread);
            return decay;
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private readonly void AddValues(int row, int keys, float decay)
        {
            var first = (float*)_values.Address;
            var (width, stride) = (_problem.ValueWidth, _values.Stride);
            var output = Output(row);
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
    }
}
