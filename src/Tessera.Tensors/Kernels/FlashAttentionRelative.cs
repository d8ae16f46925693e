namespace Tessera.Tensors.Kernels;

/// <summary>
/// The positional half of Transformer-XL's scores, tile by tile: products of the tile's position queries with the keys of its up
/// to 127 distances, whose diagonals are added to the scores; the gradients go the same way back. The next tile of keys has half of
/// its distances in common with this one, so that products of 64 are made for each tile, and gradients of 64 are complete after it.
/// </summary>
internal readonly unsafe struct FlashAttentionRelative
{
    private const int Size = FlashAttentionTile.Size;

    private readonly AttentionRows _queries;

    /// <summary>[distances, heads, width].</summary>
    private readonly float* _keys;
    private readonly int _distances, _heads, _width, _firstDistance;
    private readonly float _scale;

    public FlashAttentionRelative(RelativeBias bias)
    {
        var shape = bias.PositionKeys.Shape;
        _queries = new AttentionRows(bias.PositionQueries);
        _keys = AttentionRows.Address(bias.PositionKeys.Floats);
        (_distances, _heads, _width) = (shape[0], shape[1], shape[2]);
        (_firstDistance, _scale) = (bias.FirstDistance, bias.Scale);
    }

    public bool IsNone => _keys == null;

    /// <summary>A row of width for each distance, padded.</summary>
    public long LearnedOfHead => (long)_distances * PaddedWidth;

    /// <summary>The width rounded up to whole vectors of each half of a word, however long those are.</summary>
    public int PaddedWidth => FlashAttention.RoundUp(_width, 32);

    public long RoomFloats(bool backward) => RoomAt(null).Floats(backward);

    /// <summary>Packs the position queries of a tile of queries that stand side by side.</summary>
    public void Pack<V, F>(in FlashAttentionTile tile, float* start, bool backward)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var room = RoomAt(start);
        var rows = _queries.At(tile.Batch, tile.Head, tile.FirstQuery);
        (*room.KeptKey, *room.CarriedKey) = (Room.None, Room.None);
        tile.PackFactors<V, F>(rows, _queries.Stride, _width, _scale * FlashAttentionProblem.Log2E, room.PackedQueries);
        if (!backward) return;
        F.PackRows(rows, _queries.Stride, tile.Queries, tile.Lanes, _width, _scale, room.QueryRows, PaddedWidth);
        new Span<float>(room.QueryGradient, _width * tile.Lanes).Clear();
    }

    /// <summary>Adds the products, times log₂ e, to the scores of such a tile.</summary>
    public void Add<V, F>(in FlashAttentionProblem problem, in FlashAttentionTile tile, float* start)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var room = RoomAt(start);
        var (first, half) = (FirstOf(problem, tile.FirstKey, tile), Size * tile.Lanes);
        if (*room.KeptKey == tile.FirstKey - Size) Copy(room.Kept, room.Products + half, half);
        else Multiply<V, F>(tile, room, first + Size, room.Products + half);
        Multiply<V, F>(tile, room, first, room.Products);
        Copy(room.Products, room.Kept, half);
        *room.KeptKey = tile.FirstKey;
        FlashAttentionDiagonals.Gather<V>(room.Products + ((Size - tile.Keys) * tile.Lanes), tile.Keys, tile.Lanes, tile.Scores);
    }

    /// <summary>The products of one query for consecutive keys, the first of which is <paramref name="distance"/> before it.</summary>
    public void Row<V>(int batch, int head, int query, int distance, int keys, float* to) where V : struct, ILanes<V>
    {
        var row = _queries.At(batch, head, query);
        for (var key = 0; key < keys; key++)
            to[key] = DistanceBias.Quiet(FlashAttention.Dot<V>(row, Key(head, distance - key), _width) * _scale);
    }

    /// <summary>Adds what the gradients of a tile's scores give to position queries and keys; that of the distances which the next
    /// tile may have too, and that of the queries, is kept until <see cref="AddPackedGradient"/>.</summary>
    public void AddGradient<V, F>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* start, float* scores,
        float* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var room = RoomAt(start);
        var half = Size * tile.Lanes;
        float* low = room.Products, high = low + half;
        new Span<float>(low, 2 * half).Clear();
        FlashAttentionDiagonals.Scatter<V>(scores, tile.Keys, tile.Lanes, low + ((Size - tile.Keys) * tile.Lanes));
        if (*room.CarriedKey == tile.FirstKey - Size) FlashAttention.AddRow<V>(room.Carried, 1, high, half);
        else AddCarried<V, F>(problem, gradients, tile, room, sums);
        AddDistances<V, F>(gradients, tile, room, FirstOf(problem, tile.FirstKey, tile) + Size, high, sums);
        Copy(low, room.Carried, half);
        *room.CarriedKey = tile.FirstKey;
    }

    /// <summary>Adds what has been kept for a tile of queries.</summary>
    public void AddPackedGradient<V, F>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* start, float* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var room = RoomAt(start);
        AddCarried<V, F>(problem, gradients, tile, room, sums);
        if (gradients.PositionQueries.IsNull) return;
        FlashAttentionTranspose.Run(room.QueryGradient, tile.Lanes, _width, tile.Queries, 1, room.QueryRows, _width);
        for (var query = 0; query < tile.Queries; query++)
        {
            var to = gradients.PositionQueries.At(tile.Batch, tile.Head, tile.FirstQuery + query);
            FlashAttention.AddRow<V>(room.QueryRows + (query * _width), _scale, to, _width);
        }
    }

    /// <summary>Adds what the gradients of one query's scores give to its position query and to position keys.</summary>
    public void AddRowGradient<V>(
        in FlashAttentionBiasGradients gradients, int batch, int head, int query, int distance, int keys, float* row, float* sums)
        where V : struct, ILanes<V>
    {
        for (var key = 0; key < keys; key++)
        {
            var factor = row[key] * _scale;
            if (!gradients.PositionQueries.IsNull)
                FlashAttention.AddRow<V>(Key(head, distance - key), factor, gradients.PositionQueries.At(batch, head, query), _width);
            if (sums != null)
                FlashAttention.AddRow<V>(_queries.At(batch, head, query), factor, sums + RowOf(distance - key, PaddedWidth), _width);
        }
    }

    /// <summary>Adds one row of the sums of a head to the gradient of the position keys.</summary>
    public void AddSums<V>(in FlashAttentionBiasGradients gradients, int head, int row, float* sums) where V : struct, ILanes<V>
    {
        var to = gradients.PositionKeys + ((((nint)row * _heads) + head) * _width);
        FlashAttention.AddRow<V>(sums + (row * (nint)PaddedWidth), 1, to, _width);
    }

    /// <summary>The smallest distance of a tile, were it of 64 keys: of the first query and the last key.</summary>
    private static int FirstOf(in FlashAttentionProblem problem, int firstKey, in FlashAttentionTile tile) =>
        tile.Position(problem, 0) - firstKey - (Size - 1);

    private static void Copy(float* from, float* to, int count) => new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));

    /// <summary>Where the row of a distance begins, or that of the nearest that has one, in rows of a width.</summary>
    private nint RowOf(int distance, int width) => (nint)Math.Clamp((long)distance - _firstDistance, 0, _distances - 1) * width;

    private float* Key(int head, int distance) => _keys + RowOf(distance, _heads * _width) + (head * _width);

    private Room RoomAt(float* start) => new(start, _width, PaddedWidth);

    /// <summary>Products of 64 distances: [distances, lanes].</summary>
    private void Multiply<V, F>(in FlashAttentionTile tile, in Room room, int first, float* products)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        var words = F.Words(_width);
        for (var n = 0; n < Size; n++) F.PackAlong(Key(tile.Head, first + n), _width, room.Keys + (n * words));
        F.Multiply(room.Keys, words, 1, room.PackedQueries, tile.Lanes, products, tile.Lanes, Size, tile.Lanes, words, add: false);
    }

    private void AddCarried<V, F>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, in Room room, float* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        if (*room.CarriedKey == Room.None) return;
        AddDistances<V, F>(gradients, tile, room, FirstOf(problem, *room.CarriedKey, tile), room.Carried, sums);
        *room.CarriedKey = Room.None;
    }

    /// <summary>Adds what the gradients of the products of 64 distances give; they are used up.</summary>
    private void AddDistances<V, F>(
        in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, in Room room, int first, float* products, float* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        int padded = PaddedWidth, lanes = tile.Lanes, queryWords = lanes / F.PerWord;
        if (sums != null)
        {
            var isWhole = first >= _firstDistance && first + Size <= _firstDistance + _distances;
            var to = isWhole ? sums + RowOf(first, padded) : room.KeyGradient;
            var folded = F.FoldLanes(products, Size, lanes, room.Folded);
            F.Multiply(folded, queryWords, 1, room.QueryRows, padded, to, padded, Size, padded, queryWords, add: isWhole);
            for (var n = 0; n < Size && !isWhole; n++)
                FlashAttention.AddRow<V>(to + (n * padded), 1, sums + RowOf(first + n, padded), padded);
        }

        if (gradients.PositionQueries.IsNull) return;
        for (var n = 0; n < Size; n++) FlashAttention.ScaleRow<V>(Key(tile.Head, first + n), 1, _width, room.Keys + (n * _width));
        F.PackSums(room.Keys, _width, Size, _width, room.TurnedKeys, room.KeySums);
        F.FoldRows(products, Size, lanes);
        var (number, word) = F.SumStrides(_width);
        F.Multiply(room.KeySums, number, word, products, lanes, room.QueryGradient, lanes, _width, lanes, F.Words(Size), add: true);
    }

    /// <summary>A tile's working memory.</summary>
    private readonly struct Room(float* start, int width, int paddedWidth)
    {
        /// <summary>No tile of keys.</summary>
        public const int None = int.MinValue;

        private const int Header = 16;

        /// <summary>The first key of the tile whose <see cref="Kept"/> and <see cref="Carried"/> these are.</summary>
        public int* KeptKey => (int*)start;

        public int* CarriedKey => KeptKey + 1;

        /// <summary>[words of the width, lanes]: times scale and log₂ e.</summary>
        public float* PackedQueries => start + Header;

        /// <summary>[64 distances, width]: position keys, in words.</summary>
        public float* Keys => PackedQueries + (Size * (nint)paddedWidth);

        /// <summary>[128 distances, lanes], from the smallest on.</summary>
        public float* Products => Keys + (Size * (nint)paddedWidth);

        /// <summary>[64 distances, lanes]: the products of the smaller half of a tile's distances, the larger of the next one's.</summary>
        public float* Kept => Products + (2 * Size * Size);

        /// <summary>As <see cref="Kept"/>: their gradients.</summary>
        public float* Carried => Kept + (Size * Size);

        /// <summary>[64 distances, words of the lanes].</summary>
        public float* Folded => Carried + (Size * Size);

        /// <summary>[words of the queries, padded width]: times scale.</summary>
        public float* QueryRows => Folded + (Size * Size);

        /// <summary>[width, lanes].</summary>
        public float* QueryGradient => QueryRows + (Size * (nint)paddedWidth);

        /// <summary>[64 distances, padded width].</summary>
        public float* KeyGradient => QueryGradient + (Size * (nint)width);

        /// <summary>[width, 64 distances] and [64 distances, width]: as <see cref="IAttentionFactors{V}.PackSums"/> takes and leaves
        /// position keys.</summary>
        public float* TurnedKeys => KeyGradient + (Size * (nint)paddedWidth);

        public float* KeySums => TurnedKeys + (Size * (nint)width);

        public long Floats(bool backward) => (backward ? KeySums + (Size * (nint)width) : Carried) - start;
    }
}
