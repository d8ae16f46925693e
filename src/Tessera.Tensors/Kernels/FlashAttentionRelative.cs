namespace Tessera.Tensors.Kernels;

/// <summary>
/// The positional half of Transformer-XL's scores, tile by tile: one product of the tile's position queries with the keys of its
/// up to 127 distances, whose diagonals are added to the scores. The gradients go the same way back.
/// </summary>
internal readonly unsafe struct FlashAttentionRelative
{
    private const int Size = FlashAttentionTile.Size, MaxDiagonals = 2 * Size;

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

    /// <summary>The width rounded up to whole vectors, however long those are.</summary>
    public int PaddedWidth => FlashAttention.RoundUp(_width, 16);

    public long RoomFloats(bool backward) => new Room(null, _width, PaddedWidth).Floats(backward);

    /// <summary>Packs the position queries of a tile of queries that stand side by side.</summary>
    public void Pack<V>(in FlashAttentionTile tile, float* start, bool backward) where V : struct, ILanes<V>
    {
        var room = new Room(start, _width, PaddedWidth);
        var rows = _queries.At(tile.Batch, tile.Head, tile.FirstQuery);
        tile.Pack(rows, _queries.Stride, _width, _scale * FlashAttentionProblem.Log2E, room.PackedQueries);
        if (!backward) return;
        AttentionF32<V>.PackRows(rows, _queries.Stride, tile.Queries, tile.Queries, _width, _scale, room.QueryRows, PaddedWidth);
        new Span<float>(room.QueryGradient, _width * tile.Lanes).Clear();
    }

    /// <summary>Adds the products, times log₂ e, to the scores of such a tile.</summary>
    public void Add<V>(in FlashAttentionProblem problem, in FlashAttentionTile tile, float* start) where V : struct, ILanes<V>
    {
        var room = new Room(start, _width, PaddedWidth);
        var (first, diagonals) = (FirstOf(problem, tile), tile.Queries + tile.Keys - 1);
        for (var n = 0; n < diagonals; n++) FlashAttention.ScaleRow<V>(Key(tile.Head, first + n), 1, _width, room.Keys + (n * _width));
        FlashAttentionProduct.Run<V>(
            room.Keys, _width, 1, room.PackedQueries, tile.Lanes, room.Products, tile.Lanes, diagonals, tile.Lanes, _width, add: false);
        FlashAttentionDiagonals.Gather<V>(room.Products, tile.Keys, tile.Lanes, tile.Scores);
    }

    /// <summary>The products of one query for consecutive keys, the first of which is <paramref name="distance"/> before it.</summary>
    public void Row<V>(int batch, int head, int query, int distance, int keys, float* to) where V : struct, ILanes<V>
    {
        var row = _queries.At(batch, head, query);
        for (var key = 0; key < keys; key++)
            to[key] = DistanceBias.Quiet(FlashAttention.Dot<V>(row, Key(head, distance - key), _width) * _scale);
    }

    /// <summary>Adds what the gradients of a tile's scores, whose products have just been made, give to position keys; what they
    /// give to position queries is kept until <see cref="AddPackedGradient"/>.</summary>
    public void AddGradient<V>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* start, float* scores, float* sums)
        where V : struct, ILanes<V>
    {
        var room = new Room(start, _width, PaddedWidth);
        var (first, diagonals, padded) = (FirstOf(problem, tile), tile.Queries + tile.Keys - 1, PaddedWidth);
        FlashAttentionDiagonals.Scatter<V>(scores, tile.Keys, tile.Lanes, room.Products);
        if (!gradients.PositionQueries.IsNull)
        {
            FlashAttentionProduct.Run<V>(
                room.Keys, 1, _width, room.Products, tile.Lanes, room.QueryGradient, tile.Lanes, _width, tile.Lanes, diagonals, add: true);
        }

        if (sums == null) return;
        var isWhole = first >= _firstDistance && first + diagonals <= _firstDistance + _distances;
        var to = isWhole ? sums + ((first - _firstDistance) * (nint)padded) : room.KeyGradient;
        FlashAttentionProduct.Run<V>(
            room.Products, tile.Lanes, 1, room.QueryRows, padded, to, padded, diagonals, padded, tile.Queries, add: isWhole);
        for (var n = 0; n < diagonals && !isWhole; n++)
            FlashAttention.AddRow<V>(to + (n * padded), 1, sums + (RowOf(first + n) * (nint)padded), padded);
    }

    /// <summary>Adds the gradients of the position queries of a tile.</summary>
    public void AddPackedGradient<V>(in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* start) where V : struct, ILanes<V>
    {
        if (gradients.PositionQueries.IsNull) return;
        var room = new Room(start, _width, PaddedWidth);
        FlashAttentionTranspose.Run(room.QueryGradient, tile.Lanes, _width, tile.Queries, 1, room.QueryRows, _width);
        for (var query = 0; query < tile.Queries; query++)
        {
            FlashAttention.AddRow<V>(
                room.QueryRows + (query * _width), _scale, gradients.PositionQueries.At(tile.Batch, tile.Head, tile.FirstQuery + query), _width);
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
                FlashAttention.AddRow<V>(_queries.At(batch, head, query), factor, sums + (RowOf(distance - key) * (nint)PaddedWidth), _width);
        }
    }

    /// <summary>Adds one row of the sums of a head to the gradient of the position keys.</summary>
    public void AddSums<V>(in FlashAttentionBiasGradients gradients, int head, int row, float* sums) where V : struct, ILanes<V> =>
        FlashAttention.AddRow<V>(sums + (row * (nint)PaddedWidth), 1, gradients.PositionKeys + ((((nint)row * _heads) + head) * _width), _width);

    /// <summary>The distance on the first diagonal: of the first query and the last key.</summary>
    private static int FirstOf(in FlashAttentionProblem problem, in FlashAttentionTile tile) =>
        tile.Position(problem, 0) - (tile.FirstKey + tile.Keys - 1);

    /// <summary>The row of a distance, or of the nearest that has one.</summary>
    private int RowOf(int distance) => (int)Math.Clamp((long)distance - _firstDistance, 0, _distances - 1);

    private float* Key(int head, int distance) => _keys + ((((nint)RowOf(distance) * _heads) + head) * _width);

    /// <summary>A tile's working memory.</summary>
    private readonly struct Room(float* start, int width, int paddedWidth)
    {
        /// <summary>[width, lanes]: times scale and log₂ e.</summary>
        public float* PackedQueries => start;

        /// <summary>[diagonals, width].</summary>
        public float* Keys => PackedQueries + (Size * (nint)width);

        /// <summary>[diagonals, lanes].</summary>
        public float* Products => Keys + (MaxDiagonals * (nint)width);

        /// <summary>[queries, padded width]: times scale.</summary>
        public float* QueryRows => Products + (MaxDiagonals * Size);

        /// <summary>[width, lanes].</summary>
        public float* QueryGradient => QueryRows + (Size * (nint)paddedWidth);

        /// <summary>[diagonals, padded width].</summary>
        public float* KeyGradient => QueryGradient + (Size * (nint)width);

        public long Floats(bool backward) =>
            (backward ? KeyGradient + (MaxDiagonals * (nint)paddedWidth) : QueryRows) - start;
    }
}
