namespace Tessera.Tensors.Kernels;

internal static unsafe partial class FlashAttention
{
    /// <summary>
    /// Puts the keys and values of each head side by side where several tiles of queries go over them: spread over rows of all
    /// heads they would fall into a few sets of the caches only, and a page would hold one or two of them. BF16 always needs it:
    /// there they become words, along the width and, for sums over keys, along the keys of each tile. Keys and values of other
    /// types than F32 are read here once. Blocks of cached tokens are side by side as they are.
    /// </summary>
    /// <returns>The memory taken for it, to be given back; none where all stays as it is.</returns>
    private static (nint Address, long Bytes) Gather(ref FlashAttentionProblem problem, bool backward)
    {
        var bf16 = problem.Factors != AttentionFactors.F32;
        var mustConvert = bf16 || !problem.Keys.AreFloats || !problem.Values.AreFloats;
        var near = problem.KeyHeads == 1 || problem.QueryCount <= 2 * FlashAttentionTile.Size;
        if (!mustConvert && (near || problem.Keys.AreBlocks)) return default;

        int first = problem.FirstKey, keys = problem.KeyCount - first, pairedKeys = bf16 ? Tiles(keys) * FlashAttentionTile.Size / 2 : 0;
        int width = Words(problem, problem.Width), valueWidth = bf16 && !backward ? 0 : Words(problem, problem.ValueWidth);
        var summed = backward ? problem.Width : problem.ValueWidth;
        var heads = (long)problem.Batch * problem.KeyHeads;
        var bytes = sizeof(float) * heads * (((long)keys * (width + valueWidth)) + ((long)pairedKeys * summed));
        var address = Arena.Current.Take(bytes);

        var work = new GatherWork { Problem = problem, Backward = backward };
        var next = (float*)address;
        work.Keys = new AttentionRows(next, problem.KeyHeads, keys, width, first);
        work.Values = new AttentionRows(next += heads * keys * width, problem.KeyHeads, keys, valueWidth, first);
        work.Pairs = new AttentionRows(next + (heads * keys * valueWidth), problem.KeyHeads, pairedKeys, summed, first / 2);
        work.Items = problem.Batch * problem.KeyHeads * Tiles(keys);
        Simd.Run(ref work, work.Parts = Simd.Parts(work.Items, FlashAttentionTile.Size * (problem.Width + problem.ValueWidth)));

        problem.KeyWords = work.Keys;
        problem.ValueWords = work.Values;
        problem.KeySums = bf16 ? work.Pairs : work.Keys;
        problem.ValueSums = bf16 ? work.Pairs : work.Values;
        return (address, bytes);
    }

    private static int Words(in FlashAttentionProblem problem, int numbers) => problem.Factors switch
    {
        AttentionFactors.Bf16Tiles => AttentionAmx.Words(numbers),
        AttentionFactors.Bf16Dots => AttentionBf16.Words(numbers),
        _ => numbers,
    };

    private static void GiveBack((nint Address, long Bytes) gathered)
    {
        if (gathered.Address != 0) Arena.Current.Return(gathered.Address, gathered.Bytes);
    }

    /// <summary>An item is a tile of keys of one head.</summary>
    private struct GatherWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public AttentionRows Keys, Values, Pairs;
        public bool Backward;
        public int Items, Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Items, Parts, part);
            for (var item = start; item < end; item++)
            {
                switch (Problem.Factors)
                {
                    case AttentionFactors.Bf16Tiles: Gather<Lanes512, AttentionAmx>(item); break;
                    case AttentionFactors.Bf16Dots: Gather<Lanes512, AttentionBf16>(item); break;
                    default: Gather<V, AttentionF32<V>>(item); break;
                }
            }
        }

        private readonly void Gather<V, F>(int item) where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>
        {
            var tiles = Tiles(Problem.KeyCount - Problem.FirstKey);
            var (batch, head, tile) = (item / tiles / Problem.KeyHeads, item / tiles % Problem.KeyHeads, item % tiles);
            var first = Problem.FirstKey + (tile * FlashAttentionTile.Size);
            if (!Problem.Keys.Keeps(batch, first)) return;
            var keys = Math.Min(FlashAttentionTile.Size, Problem.KeyCount - first);
            int width = Problem.Width, valueWidth = Problem.ValueWidth;
            var room = FlashAttentionScratch.Floats(FlashAttentionTile.Size * ((2L * width) + (2L * valueWidth)));
            var keyRows = Problem.Keys.Read(batch, head, first, keys, width, room);
            var valueRows = keyRows;
            if (!Problem.Values.Are(Problem.Keys))
                valueRows = Problem.Values.Read(batch, head, first, keys, valueWidth, room + (FlashAttentionTile.Size * (nint)width));
            for (var key = 0; key < keys; key++)
            {
                F.PackAlong((float*)keyRows.Address + (key * keyRows.Stride), width, Keys.At(batch, head, first + key));
                if (Values.Stride != 0)
                    F.PackAlong((float*)valueRows.Address + (key * valueRows.Stride), valueWidth, Values.At(batch, head, first + key));
            }

            if (F.PerWord == 1) return;
            var (rows, summed) = Backward ? (keyRows, width) : (valueRows, valueWidth);
            room += FlashAttentionTile.Size * ((nint)width + valueWidth);
            F.PackSums((float*)rows.Address, rows.Stride, keys, summed, room, Pairs.At(batch, head, first / 2));
        }
    }
}
