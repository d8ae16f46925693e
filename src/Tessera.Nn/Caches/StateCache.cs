using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>Some vectors of fixed size for each sequence, whatever its length: the state of a recurrence.</summary>
/// <param name="Widths">The elements of each vector.</param>
public sealed record StateCacheLayout(params IReadOnlyList<int> Widths) : CacheLayout
{
    /// <inheritdoc/>
    public override long BytesOf(int tokens, int memoryTokens, ElementType type) => 2L * sizeof(float) * Widths.Sum(width => (long)width);

    /// <inheritdoc/>
    public override LayerCache Create(ElementType type) => new StateCache(this);

    /// <inheritdoc/>
    public bool Equals(StateCacheLayout? other) => other is not null && Widths.SequenceEqual(other.Widths);

    /// <inheritdoc/>
    public override int GetHashCode() => Widths.Aggregate(0, HashCode.Combine);
}

/// <summary>States of sequences in F32: the one after the last step, and the one before it, so that a step can be taken back.</summary>
public sealed class StateCache : LayerCache
{
    private const int FirstRoom = 4;
    private readonly StateCacheLayout _layout;
    private readonly Tensor[] _states;
    private Held[] _sequences = new Held[FirstRoom];

    /// <summary>An empty cache.</summary>
    public StateCache(StateCacheLayout layout)
    {
        _layout = layout;
        _states = [.. layout.Widths.Select(width => Tensor.Allocate([2 * FirstRoom, width]))];
    }

    /// <inheritdoc/>
    public override long Bytes => _states.Sum(state => state.Shape.Count) * sizeof(float);

    /// <inheritdoc/>
    public override void Add(int sequence)
    {
        Grow(sequence + 1);
        if (_sequences[sequence].Exists) throw new ArgumentException($"there is a sequence {sequence} already");
        _sequences[sequence] = new Held { Exists = true, Before = -1 };
        Clear(Row(sequence, 0));
    }

    /// <inheritdoc/>
    public override void Remove(int sequence) => Of(sequence).Exists = false;

    /// <inheritdoc/>
    public override void Fork(int from, int to)
    {
        Add(to);
        ref var fork = ref Of(to);
        ref var origin = ref Of(from);
        fork.Now = origin.Now;
        foreach (var state in _states) Copy(state, Row(from, origin.Version), state, Row(to, 0));
    }

    /// <inheritdoc/>
    public override int Truncate(int sequence, int length)
    {
        ref var held = ref Of(sequence);
        if (length >= held.Now) return length;
        if (held.Before >= 0 && held.Before <= length)
        {
            (held.Version, held.Now, held.Before) = (1 - held.Version, held.Before, -1);
            return held.Now;
        }

        (held.Now, held.Before) = (0, -1);
        Clear(Row(sequence, held.Version));
        return 0;
    }

    /// <summary>One of the vectors of each sequence of a run.</summary>
    /// <param name="step">Has the run.</param>
    /// <param name="run">Sequences with equally many new tokens.</param>
    /// <param name="state">Which vector.</param>
    /// <returns>[sequences, width], zeros where nothing has been read.</returns>
    public Tensor Load(DecodingStep step, StepRun run, int state)
    {
        var loaded = Tensor.Temporary([run.Sequences, _layout.Widths[state]]);
        for (var row = 0; row < run.Sequences; row++)
        {
            ref readonly var part = ref step.Sequences[run.First + row];
            ref var held = ref Of(part.Number);
            if (held.Now != part.Position)
                throw new InvalidOperationException($"sequence {part.Number} has the state of {held.Now} tokens, not of {part.Position}");
            Copy(_states[state], Row(part.Number, held.Version), loaded, row);
        }

        return loaded;
    }

    /// <summary>Keeps the vectors of each sequence of a run after its new tokens.</summary>
    /// <param name="step">Has the run.</param>
    /// <param name="run">Sequences with equally many new tokens.</param>
    /// <param name="states">[sequences, width] of each vector, in the layout's order.</param>
    public void Store(DecodingStep step, StepRun run, params ReadOnlySpan<Tensor> states)
    {
        for (var row = 0; row < run.Sequences; row++)
        {
            ref readonly var part = ref step.Sequences[run.First + row];
            ref var held = ref Of(part.Number);
            for (var state = 0; state < states.Length; state++)
                Copy(states[state], row, _states[state], Row(part.Number, 1 - held.Version));
            (held.Version, held.Before, held.Now) = (1 - held.Version, held.Now, part.Position + part.Tokens);
        }
    }

    private static int Row(int sequence, int version) => (2 * sequence) + version;

    private static void Copy(Tensor from, int row, Tensor to, int toRow) => Op.Convert(from.Slice(row, 1), to.Slice(toRow, 1));

    private void Clear(int row)
    {
        foreach (var state in _states) Op.Fill(state.Slice(row, 1), 0);
    }

    private ref Held Of(int sequence)
    {
        if ((uint)sequence >= (uint)_sequences.Length || !_sequences[sequence].Exists)
            throw new ArgumentException($"there is no sequence {sequence}");
        return ref _sequences[sequence];
    }

    private void Grow(int sequences)
    {
        if (sequences <= _sequences.Length) return;
        var room = Math.Max(sequences, 2 * _sequences.Length);
        for (var state = 0; state < _states.Length; state++)
        {
            var grown = Tensor.Allocate([2 * room, _layout.Widths[state]]);
            Op.Convert(_states[state], grown.First(_states[state].Shape[0]));
            _states[state] = grown;
        }

        Array.Resize(ref _sequences, room);
    }

    /// <summary>Which of a sequence's two rows is the state now, after how many tokens it and the other are (−1: it is none).</summary>
    private struct Held
    {
        public bool Exists;
        public int Version, Now, Before;
    }
}
