using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>Operations that are worth a thread's while where each number of the cache is read for few of them.</summary>
    private const double MinWorkOfDecodePart = 1 << 16;

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
    /// one walk over a range serves all heads, whose keys lie side by side. What the ranges give is put together in their order. Of
    /// few keys in blocks, where those of a head lie by themselves, a walk serves some of the heads, so that all threads have work.
    /// </summary>
    private static void Decode(in FlashAttentionProblem problem)
    {
        if (problem.Batch == 0) return;
        var work = new DecodeWork { Problem = problem, Ranges = Ranges(problem) };
        work.Slices = Slices(problem, problem.Batch * work.Ranges);
        work.Items = problem.Batch * work.Ranges * work.Slices;
        var bytes = problem.Batch * work.Ranges * work.RangeFloats * sizeof(float);
        var address = Arena.Current.Take(bytes);
        work.Partial = (float*)address;
        var operations = 2.0 * problem.Batch * work.Rows * problem.KeyCount * (problem.Width + problem.ValueWidth);
        KernelProfile.Note(operations, 0);
        Simd.Run(ref work, work.Parts = (int)Math.Clamp(operations / MinWorkOfDecodePart, 1, work.Items));
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

    /// <summary>How many slices the key heads are cut into where there are fewer ranges than threads; each gives the same in any.</summary>
    private static int Slices(in FlashAttentionProblem problem, int ranges) =>
        problem.Keys.AreBlocks ? Math.Clamp(Simd.Threads / Math.Max(ranges, 1), 1, problem.KeyHeads) : 1;

    /// <summary>An item is a range of keys of a batch row, for a slice of the heads.</summary>
    private struct DecodeWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public int Ranges, Slices, Items, Parts;

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
                var range = item / Slices;
                var (firstTile, lastTile) = Simd.Share(Tiles(Problem.KeyCount), Ranges, range % Ranges);
                var (firstHead, lastHead) = Simd.Share(Problem.KeyHeads, Slices, item % Slices);
                var rowsEach = Problem.Group * Problem.QueryCount;
                new DecodeRange<V>(Problem, range / Ranges, Partial + (range * RangeFloats)).Run(
                    firstTile * FlashAttentionTile.Size, Math.Min(lastTile * FlashAttentionTile.Size, Problem.KeyCount),
                    firstHead * rowsEach, lastHead * rowsEach);
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

    /// <summary>The queries of some or all heads of a batch row over a range of keys.</summary>
    private ref struct DecodeRange<V> where V : struct, ILanes<V>
    {
        private const int Size = FlashAttentionTile.Size;

        /// <summary>Bytes that are fetched ahead: the processor foresees no more than a page, and a tile of a head is a few.</summary>
        private const int Ahead = 4096;

        private readonly ref readonly FlashAttentionProblem _problem;
        private readonly int _batch;

        /// <summary>[keys of a tile] both; [rows, value width + 3] as in <see cref="DecodeWork"/>.</summary>
        private readonly float* _scores, _bias, _rows;

        /// <summary>Room for a tile of keys and values that are neither F32 nor BF16.</summary>
        private readonly float* _keyRoom, _valueRoom;

        /// <summary>Whether keys and values are widened as they are read.</summary>
        private readonly bool _areBrain;

        /// <summary>The tile of keys and values at hand: its key head and first key, and its rows, of so many bytes each.</summary>
        private (int Head, int FirstKey) _tile = (-1, -1);
        private (nint Address, nint RowBytes) _keys, _values;

        /// <summary>How far ahead lines are fetched; 0 where the tile has been read before.</summary>
        private int _ahead;

        public DecodeRange(in FlashAttentionProblem problem, int batch, float* rows)
        {
            _problem = ref problem;
            _batch = batch;
            _rows = rows;
            _scores = FlashAttentionScratch.Floats(Size * (2 + (long)problem.Width + problem.ValueWidth));
            _bias = _scores + Size;
            _keyRoom = _bias + Size;
            _valueRoom = _keyRoom + (Size * (nint)problem.Width);
            _areBrain = problem.Keys.AreBrain && problem.Values.AreBrain;
        }

        /// <summary>Rows are queries, head by head.</summary>
        public void Run(int firstKey, int lastKey, int firstRow, int lastRow)
        {
            for (var row = firstRow; row < lastRow; row++)
            {
                State(row) = RowState.Start(_problem, Head(row), sinks: firstKey == 0);
                new Span<float>(Output(row), _problem.ValueWidth).Clear();
            }

            for (var key = Math.Max(firstKey, _problem.FirstKey); key < lastKey; key += Size)
            {
                if (!_problem.Keys.Keeps(_batch, key)) continue;
                for (var row = firstRow; row < lastRow; row++) Visit(row, key, Math.Min(Size, lastKey - key));
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
            if (_areBrain) Score<BrainElements>(row, keys);
            else Score<SingleElements>(row, keys);
            if (_problem.SoftCap > 0) FlashAttentionTile.Cap<V>(_scores, Size, _problem.SoftCap * FlashAttentionProblem.Log2E, slope: null);
            if (!_problem.Bias.IsNone) AddBias(head, query, firstKey, keys);
            if (seen != ulong.MaxValue)
                for (var key = 0; key < Size; key++) _scores[key] = (seen >> key & 1) != 0 ? _scores[key] : float.NegativeInfinity;
            if (_areBrain) AddValues<BrainElements>(row, keys, Soften(row));
            else AddValues<SingleElements>(row, keys, Soften(row));
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
            _ahead = 0;
            if (_tile == (keyHead, firstKey)) return;
            (_tile, _ahead) = ((keyHead, firstKey), Ahead);
            _keys = Rows(_problem.Keys, keyHead, firstKey, keys, _problem.Width, _keyRoom);
            _values = _problem.Values.Are(_problem.Keys)
                ? _keys
                : Rows(_problem.Values, keyHead, firstKey, keys, _problem.ValueWidth, _valueRoom);
            var next = Math.Min(Size, _problem.KeyCount - firstKey - keys);
            _problem.Keys.Prefetch(_batch, keyHead, firstKey + keys, next, _problem.Width);
            _problem.Values.Prefetch(_batch, keyHead, firstKey + keys, next, _problem.ValueWidth);
        }

        /// <summary>A tile's rows, where they are or else expanded.</summary>
        private readonly (nint Address, nint RowBytes) Rows(
            in AttentionRows rows, int keyHead, int firstKey, int keys, int width, float* room)
        {
            if (_areBrain) return ((nint)rows.Locate(_batch, keyHead, firstKey), rows.Stride * sizeof(ushort));
            var (address, stride) = rows.Read(_batch, keyHead, firstKey, keys, width, room);
            return (address, stride * sizeof(float));
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private readonly void Score<E>(int row, int keys) where E : struct, IElements
        {
            var query = _problem.Queries.At(_batch, Head(row), Query(row));
            var key = (byte*)_keys.Address;
            var (width, stride, scale) = (_problem.Width, _keys.RowBytes, _problem.Scale * FlashAttentionProblem.Log2E);
            var index = 0;
            for (; index + 4 <= keys; index += 4, key += 4 * stride)
            {
                byte* key1 = key + stride, key2 = key1 + stride, key3 = key2 + stride;
                Fetch(key, 4, stride, width * E.Bytes);
                V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
                var d = 0;
                for (; d + V.Count <= width; d += V.Count)
                {
                    var q = V.Load(query + d);
                    s0 = V.MultiplyAdd(q, E.Load<V>(key + (d * E.Bytes)), s0);
                    s1 = V.MultiplyAdd(q, E.Load<V>(key1 + (d * E.Bytes)), s1);
                    s2 = V.MultiplyAdd(q, E.Load<V>(key2 + (d * E.Bytes)), s2);
                    s3 = V.MultiplyAdd(q, E.Load<V>(key3 + (d * E.Bytes)), s3);
                }

                float t0 = s0.Sum(), t1 = s1.Sum(), t2 = s2.Sum(), t3 = s3.Sum();
                for (; d < width; d++)
                {
                    t0 += query[d] * E.Load<Lanes1>(key + (d * E.Bytes)).Sum();
                    t1 += query[d] * E.Load<Lanes1>(key1 + (d * E.Bytes)).Sum();
                    t2 += query[d] * E.Load<Lanes1>(key2 + (d * E.Bytes)).Sum();
                    t3 += query[d] * E.Load<Lanes1>(key3 + (d * E.Bytes)).Sum();
                }

                _scores[index] = t0 * scale;
                _scores[index + 1] = t1 * scale;
                _scores[index + 2] = t2 * scale;
                _scores[index + 3] = t3 * scale;
            }

            for (; index < keys; index++, key += stride) _scores[index] = Dot<E>(query, key, width) * scale;
            for (; index < Size; index++) _scores[index] = float.NegativeInfinity;
        }

        private static float Dot<E>(float* query, byte* key, int width) where E : struct, IElements
        {
            var sum = V.Zero;
            var d = 0;
            for (; d + V.Count <= width; d += V.Count) sum = V.MultiplyAdd(V.Load(query + d), E.Load<V>(key + (d * E.Bytes)), sum);
            var total = sum.Sum();
            for (; d < width; d++) total += query[d] * E.Load<Lanes1>(key + (d * E.Bytes)).Sum();
            return total;
        }

        /// <summary>Has the caches fetch rows as far ahead as is said; behind the tile lies that of the next head, or of the next
        /// block.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Fetch(byte* from, int rows, nint stride, int bytes)
        {
            if (!Sse.IsSupported || _ahead == 0) return;
            for (; rows > 0; rows--, from += stride)
                for (var at = 0; at < bytes; at += 64) Sse.Prefetch0(from + at + _ahead);
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
        private readonly void AddValues<E>(int row, int keys, float decay) where E : struct, IElements
        {
            var first = (byte*)_values.Address;
            var (width, stride) = (_problem.ValueWidth, _values.RowBytes);
            var output = Output(row);
            var d = 0;
            for (; d + (4 * V.Count) <= width; d += 4 * V.Count)
            {
                V scale = V.All(decay), s0 = V.Load(output + d) * scale, s1 = V.Load(output + d + V.Count) * scale;
                V s2 = V.Load(output + d + (2 * V.Count)) * scale, s3 = V.Load(output + d + (3 * V.Count)) * scale;
                var value = first + (d * E.Bytes);
                for (var key = 0; key < keys; key++, value += stride)
                {
                    Fetch(value, 1, stride, 4 * V.Count * E.Bytes);
                    var power = V.All(_scores[key]);
                    s0 = V.MultiplyAdd(power, E.Load<V>(value), s0);
                    s1 = V.MultiplyAdd(power, E.Load<V>(value + (V.Count * E.Bytes)), s1);
                    s2 = V.MultiplyAdd(power, E.Load<V>(value + (2 * V.Count * E.Bytes)), s2);
                    s3 = V.MultiplyAdd(power, E.Load<V>(value + (3 * V.Count * E.Bytes)), s3);
                }

                s0.Store(output + d);
                s1.Store(output + d + V.Count);
                s2.Store(output + d + (2 * V.Count));
                s3.Store(output + d + (3 * V.Count));
            }

            for (; d + V.Count <= width; d += V.Count)
            {
                var sum = V.Load(output + d) * V.All(decay);
                var value = first + (d * E.Bytes);
                for (var key = 0; key < keys; key++) sum = V.MultiplyAdd(V.All(_scores[key]), E.Load<V>(value + (key * stride)), sum);
                sum.Store(output + d);
            }

            for (; d < width; d++)
            {
                var sum = output[d] * decay;
                for (var key = 0; key < keys; key++)
                    sum += _scores[key] * E.Load<Lanes1>(first + (key * stride) + (d * E.Bytes)).Sum();
                output[d] = sum;
            }
        }
    }
}
