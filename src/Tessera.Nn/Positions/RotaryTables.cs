using System.Runtime.CompilerServices;
using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Sines and cosines of rotary positions, computed for as many positions as have been asked for. All layers with
/// the same options object share one.</summary>
internal sealed class RotaryTables(RotaryOptions options, int pairs)
{
    private const int FewestPositions = 256;

    private static readonly ConditionalWeakTable<RotaryOptions, Dictionary<int, RotaryTables>> s_shared = [];

    private readonly Lock _lock = new();
    private volatile Table _table = new(Tensor.Allocate([0, pairs]), Tensor.Allocate([0, pairs]), 0);

    public static RotaryTables Of(RotaryOptions options, int pairs)
    {
        var tables = s_shared.GetOrCreateValue(options);
        lock (tables)
        {
            if (!tables.TryGetValue(pairs, out var found)) tables[pairs] = found = new RotaryTables(options, pairs);
            return found;
        }
    }

    /// <summary>[at least length, pairs] each, for a sequence of this length.</summary>
    public (Tensor Cosines, Tensor Sines) For(int length)
    {
        var table = _table;
        if (!table.Suits(length))
        {
            lock (_lock)
            {
                if (!_table.Suits(length)) _table = Compute(length);
                table = _table;
            }
        }

        // Views, which hold on to the memory until the step ends, whatever table replaces this one meanwhile.
        return (table.Cosines.First(table.Cosines.Shape[0]), table.Sines.First(table.Sines.Shape[0]));
    }

    private Table Compute(int length)
    {
        var (shortest, longest) = options.Scaling?.SameFor(length) ?? (0, int.MaxValue);
        var positions = (int)Math.Max(length, Math.Min(Math.Max(FewestPositions, 2L * length), Math.Min(options.Positions, longest)));
        var (angles, magnitude) = options.Scaling?.Frequencies(options.Theta, pairs, length) ?? RotaryFrequencies.Of(options.Theta, pairs);
        var (cosines, sines) = (Tensor.Allocate([positions, pairs]), Tensor.Allocate([positions, pairs]));
        for (var position = 0; position < positions; position++)
        {
            var row = position * pairs;
            for (var pair = 0; pair < pairs; pair++)
            {
                var angle = position * angles[pair];
                cosines.Floats[row + pair] = (float)(magnitude * Math.Cos(angle));
                sines.Floats[row + pair] = (float)(magnitude * Math.Sin(angle));
            }
        }

        return new Table(cosines, sines, shortest);
    }

    /// <param name="Shortest">The shortest sequence that has these frequencies; the longest is what the table holds.</param>
    private sealed record Table(Tensor Cosines, Tensor Sines, int Shortest)
    {
        public bool Suits(int length) => length >= Shortest && length <= Cosines.Shape[0];
    }
}
