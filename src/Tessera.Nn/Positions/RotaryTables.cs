using System.Runtime.CompilerServices;
using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Sines and cosines of some positions.</summary>
/// <param name="Rows">I32, shaped as the positions: the row of each.</param>
/// <param name="Cosines">[rows, pairs].</param>
/// <param name="Sines">[rows, pairs].</param>
internal readonly record struct RotaryTable(Tensor Rows, Tensor Cosines, Tensor Sines);

/// <summary>Sines and cosines of rotary positions, computed for as many positions as have been asked for. All layers with
/// the same options object share one.</summary>
internal sealed class RotaryTables(RotaryOptions options, int pairs)
{
    private const int MinPositions = 256;

    /// <summary>Where a table would be for one context alone, it is made if the context has more positions than one in this many of
    /// its rows: about as many as there are layers that share it.</summary>
    private const int RowsEach = 64;

    private static readonly ConditionalWeakTable<RotaryOptions, Dictionary<int, RotaryTables>> s_shared = [];

    private readonly Lock _lock = new();

    // Sequences of the trained length and longer ones may take turns.
    private Table _usual = Table.Empty(pairs), _longer = Table.Empty(pairs);

    public static RotaryTables Of(RotaryOptions options, int pairs)
    {
        var tables = s_shared.GetOrCreateValue(options);
        lock (tables)
        {
            if (!tables.TryGetValue(pairs, out var found)) tables[pairs] = found = new RotaryTables(options, pairs);
            return found;
        }
    }

    /// <summary>Computes what sequences of up to this length share.</summary>
    public void Prepare(int length)
    {
        if (length < 1) return;
        For(Math.Min(length, SameFor(1).Longest));
        if (SameFor(length) is var (shortest, longest) && shortest < longest) For(length);
    }

    /// <summary>The table of some positions, for the longest sequence among them.</summary>
    public RotaryTable For(Tensor positions)
    {
        var length = positions.Shape.Count == 0 ? 1 : Op.Largest(positions) + 1;
        var (shortest, longest) = SameFor(length);
        if (shortest == longest && positions.Shape.Count * RowsEach <= length) return Own(length, positions);

        // Views, which hold on to the memory until the context ends, whatever table replaces this one meanwhile.
        var table = For(length);
        return new RotaryTable(positions, table.Cosines.First(table.Cosines.Shape[0]), table.Sines.First(table.Sines.Shape[0]));
    }

    private (int Shortest, int Longest) SameFor(int length) => options.Scaling?.SameFor(length) ?? (0, int.MaxValue);

    private Table For(int length)
    {
        ref var table = ref SameFor(length).Shortest == 0 ? ref _usual : ref _longer;
        if (Volatile.Read(ref table) is var ready && ready.Suits(length)) return ready;
        lock (_lock)
        {
            if (!table.Suits(length)) Volatile.Write(ref table, Compute(length));
            return table;
        }
    }

    private Table Compute(int length)
    {
        var (shortest, longest) = SameFor(length);
        var positions = (int)Math.Max(length, Math.Min(Math.Max(MinPositions, 2L * length), Math.Min(options.Positions, longest)));
        Span<double> angles = new double[pairs];
        var magnitude = Frequencies(length, angles);
        var (cosines, sines) = Initial.Rotary(positions, angles, magnitude);
        return new Table(cosines, sines, shortest);
    }

    /// <summary>A row for each position, for a length that the next token does not share.</summary>
    private RotaryTable Own(int length, Tensor positions)
    {
        Span<double> angles = pairs <= 256 ? stackalloc double[pairs] : new double[pairs];
        var magnitude = Frequencies(length, angles);
        var (rows, cosines, sines) = Op.RotaryRows(positions, angles, magnitude);
        return new RotaryTable(rows, cosines, sines);
    }

    private double Frequencies(int length, Span<double> angles)
    {
        RotaryScaling.Unscaled(options.Theta, angles);
        return options.Scaling?.Scale(options.Theta, length, angles) ?? 1;
    }

    /// <param name="Shortest">The shortest sequence that has these frequencies; the longest is what the table holds.</param>
    private sealed record Table(Tensor Cosines, Tensor Sines, int Shortest)
    {
        public static Table Empty(int pairs) => new(Tensor.Allocate([0, pairs]), Tensor.Allocate([0, pairs]), 0);

        public bool Suits(int length) => length >= Shortest && length <= Cosines.Shape[0];
    }
}
