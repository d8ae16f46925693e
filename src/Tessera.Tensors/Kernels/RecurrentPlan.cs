namespace Tessera.Tensors.Kernels;

/// <summary>
/// How the rows of a batch of sequences go through time: the longest first, so that the rows still running at a step are
/// the leading ones, dealt out to slices that know nothing of each other. The work has a part for each slice of each
/// direction, and a part runs through all its time steps without waiting for another.
/// </summary>
internal unsafe struct RecurrentPlan
{
    /// <summary>Fewer rows would not be worth passing all weights by.</summary>
    private const int RowsWorthASlice = 4;

    /// <summary>1, or 2 where a second direction runs from the end.</summary>
    public int Directions;

    /// <summary>Whether the first direction runs from the end.</summary>
    public bool Reverse;

    public int Batch, Length, Units;

    /// <summary>How many slices each direction's rows are dealt out to.</summary>
    public int Slices;

    /// <summary>The row that is at each place, and its length: [B] each.</summary>
    public int* Order, Ends;

    /// <summary>Parts of the work: one for each slice of each direction.</summary>
    public readonly int Parts => Directions * Slices;

    /// <summary>At most as many rows in a slice.</summary>
    public readonly int LargestSlice => (Batch + Slices - 1) / Slices;

    public static int SlicesFor(int directions, int batch) =>
        Math.Clamp(Simd.Threads / directions, 1, Math.Max(1, batch / RowsWorthASlice));

    /// <summary>Fills <paramref name="order"/> and <paramref name="ends"/> with the rows, longest first, and their lengths;
    /// no lengths: all are <paramref name="length"/>.</summary>
    public static void Sort(ReadOnlySpan<int> lengths, int length, Span<int> order, Span<int> ends)
    {
        for (var row = 0; row < order.Length; row++) (order[row], ends[row]) = (row, length);
        if (lengths.IsEmpty) return;
        for (var row = 0; row < order.Length; row++) ends[row] = -lengths[row];
        ends.Sort(order);
        for (var row = 0; row < order.Length; row++) ends[row] = -ends[row];
    }

    public readonly Slice Of(int part) => new(this, part / Slices, part % Slices);

    /// <summary>One part: its direction and its rows, counted from 0.</summary>
    public readonly struct Slice(in RecurrentPlan plan, int direction, int slice)
    {
        private readonly int* _order = plan.Order, _ends = plan.Ends;
        private readonly int _slice = slice, _slices = plan.Slices, _length = plan.Length, _batch = plan.Batch;
        private readonly bool _reverse = direction == 1 || plan.Reverse;

        public readonly int Direction = direction;

        public readonly int Rows = (plan.Batch - slice + plan.Slices - 1) / plan.Slices;

        /// <summary>Which row of the batch.</summary>
        public int BatchRow(int row) => _order[(row * _slices) + _slice];

        /// <summary>How many steps the row has.</summary>
        public int End(int row) => _ends[(row * _slices) + _slice];

        /// <summary>Index of the row's step in [D, B, T].</summary>
        public long Step(int row, int step) => ((long)((Direction * _batch) + BatchRow(row)) * _length) + Time(row, step);

        /// <summary>Index of the row's step in [B, T].</summary>
        public long OutputStep(int row, int step) => ((long)BatchRow(row) * _length) + Time(row, step);

        /// <summary>Index of the row in [D, B].</summary>
        public long State(int row) => ((long)Direction * _batch) + BatchRow(row);

        /// <summary>When the row takes its step: counted from its own end in reverse.</summary>
        private int Time(int row, int step) => _reverse && step < End(row) ? End(row) - 1 - step : step;
    }
}
