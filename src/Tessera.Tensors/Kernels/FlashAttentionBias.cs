namespace Tessera.Tensors.Kernels;

/// <summary>
/// What is added to scores, in one of three ways: by the distance of query and key, asked for as strips; as products of position
/// queries and keys; or from a table of all pairs. Where the queries of a tile do not stand side by side, and while decoding, it is
/// asked for row by row.
/// </summary>
internal readonly unsafe struct FlashAttentionBias
{
    private const int Size = FlashAttentionTile.Size;

    private readonly DistanceBias? _byDistance;
    private readonly FlashAttentionRelative _relative;

    /// <summary>[batch or none, heads, queries, keys].</summary>
    private readonly float* _table;
    private readonly nint _tableBatch, _tableHead, _tableQuery;

    public FlashAttentionBias(ScoreBias? bias)
    {
        switch (bias)
        {
            case DistanceBias byDistance: _byDistance = byDistance; break;
            case RelativeBias relative: _relative = new FlashAttentionRelative(relative); break;
            case DenseBias dense:
                var shape = dense.Table.Shape;
                _table = AttentionRows.Address(dense.Table.Floats);
                _tableQuery = shape[^1];
                _tableHead = _tableQuery * shape[^2];
                _tableBatch = shape.Rank == 4 ? _tableHead * shape[1] : 0;
                break;
        }
    }

    public bool IsNone => _byDistance is null && _relative.IsNone && _table == null;

    /// <summary>Whether all batch rows share a table as large as all of their scores.</summary>
    public bool IsTableOfAllRows => _table != null && _tableBatch == 0;

    /// <summary>Floats of a tile's room: a row of a query, then two strips or what products need.</summary>
    public long RoomFloats(bool backward) =>
        IsNone ? 0 : Size + (_relative.IsNone ? 2 * DistanceBias.MaxStrip : _relative.RoomFloats(backward));

    /// <summary>Numbers of <see cref="FlashAttentionBiasSums"/> that have gradients of a head, and whether they are F64.</summary>
    public (long Count, bool AreDoubles) LearnedOfHead =>
        _byDistance is null ? (_relative.LearnedOfHead, false) : (_byDistance.LearnedOfHead, true);

    /// <summary>Where those are rows, how long they are.</summary>
    public int LearnedWidth => _relative.PaddedWidth;

    /// <summary>Prepares the tile's queries for the tiles of keys that will be visited.</summary>
    public void Pack<V, F>(in FlashAttentionTile tile, bool backward)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        if (!_relative.IsNone && tile.IsConsecutive) _relative.Pack<V, F>(tile, tile.BiasRoom + Size, backward);
    }

    /// <summary>Adds biases, times log₂ e, to the scores of a tile.</summary>
    public void Add<V, F>(in FlashAttentionProblem problem, in FlashAttentionTile tile)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        if (_table != null || !tile.IsConsecutive)
        {
            AddRows<V>(problem, tile);
            return;
        }

        if (_byDistance is not null) AddStrip<V>(problem, tile);
        else _relative.Add<V, F>(problem, tile, tile.BiasRoom + Size);
        var unused = tile.Lanes - tile.Queries; // they stay finite
        for (var key = 0; key < tile.Keys && unused > 0; key++)
            new Span<float>(tile.Scores + (key * tile.Lanes) + tile.Queries, unused).Clear();
    }

    /// <summary>The biases of one query for consecutive keys; NaN only as <see cref="float.NaN"/>.</summary>
    public void Row<V>(in FlashAttentionProblem problem, int batch, int head, int query, int firstKey, int keys, float* to)
        where V : struct, ILanes<V>
    {
        if (_table != null)
        {
            var from = TableRow(_table, batch, head, query) + firstKey;
            for (var key = 0; key < keys; key++) to[key] = DistanceBias.Quiet(from[key]);
            return;
        }

        var position = problem.Mask.Position(batch, query);
        if (_byDistance is not null) _byDistance.Fill(head, firstKey - position, new Span<float>(to, keys));
        else _relative.Row<V>(batch, head, query, position - firstKey, keys, to);
    }

    /// <summary>Adds the gradients of a tile's scores to those of the bias.</summary>
    /// <param name="problem">What is computed.</param>
    /// <param name="gradients">Where gradients go.</param>
    /// <param name="tile">The tile, whose scores have been made.</param>
    /// <param name="scores">[keys, lanes]: the gradients, 0 in lanes without a query.</param>
    /// <param name="sums">A head's <see cref="LearnedOfHead"/>, or null.</param>
    public void AddGradient<V, F>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* scores, void* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        if (_table != null || !tile.IsConsecutive)
        {
            AddRowGradients<V>(problem, gradients, tile, scores, sums);
        }
        else if (_byDistance is not null)
        {
            var strip = new Span<float>(tile.BiasRoom + Size + DistanceBias.MaxStrip, tile.Queries + tile.Keys - 1);
            FlashAttentionDiagonals.Sum<V>(scores, tile.Keys, tile.Lanes, tile.BiasRoom + Size + DistanceBias.MaxStrip);
            strip.Reverse();
            _byDistance.Collect(FirstOf(problem, tile), strip, Doubles(sums));
        }
        else
        {
            _relative.AddGradient<V, F>(problem, gradients, tile, tile.BiasRoom + Size, scores, (float*)sums);
        }
    }

    /// <summary>Adds what <see cref="AddGradient"/> has kept of the tile's queries.</summary>
    public void AddPackedGradient<V, F>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, void* sums)
        where V : struct, ILanes<V>
        where F : struct, IAttentionFactors<V>
    {
        if (!_relative.IsNone && tile.IsConsecutive)
            _relative.AddPackedGradient<V, F>(problem, gradients, tile, tile.BiasRoom + Size, (float*)sums);
    }

    /// <summary>Adds one row of the sums of a head to the gradient of position keys.</summary>
    public void AddSums<V>(in FlashAttentionBiasGradients gradients, int head, int row, float* sums) where V : struct, ILanes<V> =>
        _relative.AddSums<V>(gradients, head, row, sums);

    private static int FirstOf(in FlashAttentionProblem problem, in FlashAttentionTile tile) =>
        tile.FirstKey - tile.Position(problem, tile.Queries - 1);

    private float* TableRow(float* table, int batch, int head, int query) =>
        table + (batch * _tableBatch) + (head * _tableHead) + (query * _tableQuery);

    private Span<double> Doubles(void* sums) => new(sums, _byDistance!.LearnedOfHead);

    private void AddStrip<V>(in FlashAttentionProblem problem, in FlashAttentionTile tile) where V : struct, ILanes<V>
    {
        var room = tile.BiasRoom + Size;
        var strip = new Span<float>(room, tile.Queries + tile.Keys - 1);
        _byDistance!.Fill(tile.Head, FirstOf(problem, tile), strip);
        strip.Reverse(); // in the lanes, distances grow as relative positions fall
        for (var i = 0; i < DistanceBias.MaxStrip; i += V.Count) (V.Load(room + i) * V.All(FlashAttentionProblem.Log2E)).Store(room + i);
        FlashAttentionDiagonals.Add<V>(room, tile.Keys, tile.Lanes, tile.Scores);
    }

    private void AddRows<V>(in FlashAttentionProblem problem, in FlashAttentionTile tile) where V : struct, ILanes<V>
    {
        var row = tile.BiasRoom;
        for (var query = 0; query < tile.Queries; query++)
        {
            Row<V>(problem, tile.Batch, tile.Head, tile.Query(query), tile.FirstKey, tile.Keys, row);
            for (var key = 0; key < tile.Keys; key++) tile.Scores[(key * tile.Lanes) + query] += row[key] * FlashAttentionProblem.Log2E;
        }
    }

    private void AddRowGradients<V>(
        in FlashAttentionProblem problem, in FlashAttentionBiasGradients gradients, in FlashAttentionTile tile, float* scores, void* sums)
        where V : struct, ILanes<V>
    {
        var row = tile.BiasRoom;
        for (var n = 0; n < tile.Queries; n++)
        {
            var query = tile.Query(n);
            for (var key = 0; key < tile.Keys; key++) row[key] = scores[(key * tile.Lanes) + n];
            if (_table != null)
            {
                var to = TableRow(gradients.Table, tile.Batch, tile.Head, query) + tile.FirstKey;
                for (var key = 0; key < tile.Keys; key++) to[key] += row[key];
                continue;
            }

            var first = tile.FirstKey - problem.Mask.Position(tile.Batch, query);
            if (_byDistance is not null) _byDistance.Collect(first, new Span<float>(row, tile.Keys), Doubles(sums));
            else _relative.AddRowGradient<V>(gradients, tile.Batch, tile.Head, query, -first, tile.Keys, row, (float*)sums);
        }
    }
}

/// <summary>Where the gradients of a bias go to; nowhere by default. All are added to.</summary>
internal readonly unsafe struct FlashAttentionBiasGradients
{
    /// <summary>What has a strip gradient, or null.</summary>
    public readonly DistanceBias? ByDistance;

    /// <summary>Laid out as the table is.</summary>
    public readonly float* Table;

    public readonly AttentionRows PositionQueries;

    /// <summary>[distances, heads, width].</summary>
    public readonly float* PositionKeys;

    /// <summary>Takes the memory of the gradients that are wanted.</summary>
    public FlashAttentionBiasGradients(ScoreBias? bias)
    {
        switch (bias)
        {
            case DistanceBias { Inputs.First.Slot: not null } byDistance: ByDistance = byDistance; break;
            case DenseBias { Table.Slot: { } slot }: Table = AttentionRows.Address(slot.Add()); break;
            case RelativeBias relative:
                PositionQueries = AttentionRows.Gradient(relative.PositionQueries);
                if (relative.PositionKeys.Slot is { } keys) PositionKeys = AttentionRows.Address(keys.Add());
                break;
        }
    }

    public bool AreWanted => AreShared || Table != null || !PositionQueries.IsNull;

    /// <summary>Whether numbers are learned that all queries of a head share.</summary>
    public bool AreShared => ByDistance is not null || PositionKeys != null;
}
