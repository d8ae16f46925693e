using Tessera.Nn.Attention.Patterns;
using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>Something for each token: keys and values of attention, or the latents of latent attention, in blocks of 64 tokens. Memory
/// grows with what is kept: all tokens, or the last ones that a window sees, or those of another sequence.</summary>
/// <param name="Heads">Key and value heads.</param>
/// <param name="KeyWidth">Elements of a key.</param>
/// <param name="ValueWidth">Elements of a value; 0 where values are read off the keys.</param>
public sealed record TokenCacheLayout(int Heads, int KeyWidth, int ValueWidth) : CacheLayout
{
    /// <summary>Tokens behind a window that stay, so that a few can be taken back.</summary>
    internal const int Slack = 2 * TokenBlocks.Size;

    /// <summary>Which tokens are still looked at.</summary>
    public KeptTokens Keeps { get; init; }

    /// <summary>Whether the tokens are those of <see cref="ForwardContext.Memory"/>, which do not grow.</summary>
    public bool IsOfMemory { get; init; }

    /// <inheritdoc/>
    public override long BytesOf(int tokens, int memoryTokens, ElementType type)
    {
        long kept = IsOfMemory ? memoryTokens : tokens;
        if (Keeps.Window is { } window) kept = Math.Min(kept, (long)window + Keeps.First);
        return TokenBlocks.BytesOf(kept, Heads, KeyWidth, type)
            + (ValueWidth == 0 ? 0 : TokenBlocks.BytesOf(kept, Heads, ValueWidth, type));
    }

    /// <inheritdoc/>
    public override LayerCache Create(ElementType type) => new TokenCache(this, type);
}

/// <summary>Keys and values of sequences in <see cref="TokenBlocks"/>. A fork shares the blocks of its origin until one of them writes to
/// the last; blocks that no query will look at again are given back.</summary>
public sealed class TokenCache : LayerCache
{
    private const int Size = TokenBlocks.Size;
    private readonly TokenCacheLayout _layout;
    private readonly TokenBlocks? _values;
    private readonly List<Kept?> _sequences = [];
    private int _blocksEach = 4;

    /// <summary>An empty cache.</summary>
    /// <param name="layout">What a token is.</param>
    /// <param name="type">F32, BF16 or Q8_0.</param>
    public TokenCache(TokenCacheLayout layout, ElementType type)
    {
        _layout = layout;
        Keys = new TokenBlocks(layout.Heads, layout.KeyWidth, type);
        if (layout.ValueWidth > 0) _values = new TokenBlocks(layout.Heads, layout.ValueWidth, type);
    }

    /// <summary>The keys, or latents.</summary>
    public TokenBlocks Keys { get; }

    /// <summary>The values; the keys where values are read off them.</summary>
    public TokenBlocks Values => _values ?? Keys;

    /// <inheritdoc/>
    public override long Bytes => Keys.Bytes + (_values?.Bytes ?? 0);

    /// <summary>How many tokens of a sequence have been written.</summary>
    public int Count(int sequence) => Of(sequence).Count;

    /// <inheritdoc/>
    public override void Reserve(int sequences, int tokens)
    {
        if (_layout.IsOfMemory) return;
        _blocksEach = Math.Max(_blocksEach, (tokens + Size - 1) / Size);
        var kept = _layout.Keeps.Window is { } window
            ? Math.Min(tokens, (long)window + _layout.Keeps.First + TokenCacheLayout.Slack + Size)
            : tokens;
        var taken = new int[checked((int)(sequences * ((kept + Size - 1) / Size)))];
        for (var index = 0; index < taken.Length; index++) taken[index] = InStep(Keys.Take(), _values?.Take());
        for (var index = taken.Length - 1; index >= 0; index--) Release(taken[index]);
    }

    /// <inheritdoc/>
    public override void Add(int sequence)
    {
        while (_sequences.Count <= sequence) _sequences.Add(null);
        _sequences[sequence] = _sequences[sequence] is null
            ? new Kept(_blocksEach)
            : throw new ArgumentException($"there is a sequence {sequence} already");
    }

    /// <inheritdoc/>
    public override void Remove(int sequence)
    {
        var kept = Of(sequence);
        DropFrom(kept, 0);
        _sequences[sequence] = null;
    }

    /// <inheritdoc/>
    public override void Fork(int from, int to)
    {
        Add(to);
        var (origin, fork) = (Of(from), Of(to));
        foreach (var block in origin.Blocks)
        {
            if (block != BlockTable.None) Share(block);
            fork.Blocks.Add(block);
        }

        (fork.Count, fork.FirstKept) = (origin.Count, origin.FirstKept);
    }

    /// <inheritdoc/>
    public override int Truncate(int sequence, int length)
    {
        var kept = Of(sequence);
        if (_layout.IsOfMemory || length >= kept.Count) return length;
        if (_layout.Keeps.Window is { } window && length > 0 && kept.FirstKept > Math.Max(_layout.Keeps.First, length - window)) length = 0;
        DropFrom(kept, (length + Size - 1) / Size);
        kept.Count = length;
        if (length == 0) kept.FirstKept = 0;
        return length;
    }

    /// <summary>Appends the keys and values of a step's tokens to their sequences.</summary>
    /// <param name="step">Which tokens are whose.</param>
    /// <param name="keys">[1, tokens, heads, key width].</param>
    /// <param name="values">[1, tokens, heads, value width]; none where values are read off the keys.</param>
    public void Append(DecodingStep step, Tensor keys, Tensor? values)
    {
        for (var index = 0; index < step.Sequences.Length; index++)
        {
            ref readonly var part = ref step.Sequences[index];
            var kept = Of(part.Number);
            if (kept.Count != part.Position)
                throw new InvalidOperationException($"sequence {part.Number} has {kept.Count} cached tokens, not {part.Position}");
            DropUnseen(kept, part.Position);
            Append(kept, keys, values, part.FirstToken, part.Tokens);
        }
    }

    /// <summary>Writes what cross-attention looks at, once for a sequence.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="keys">[rows, tokens, heads, key width].</param>
    /// <param name="values">[rows, tokens, heads, value width].</param>
    /// <param name="firstToken">The first of the tokens, counted through all rows.</param>
    /// <param name="count">How many there are.</param>
    public void Append(int sequence, Tensor keys, Tensor values, int firstToken, int count) =>
        Append(Of(sequence), keys, values, firstToken, count);

    /// <summary>Which blocks hold the tokens of the sequences of a run.</summary>
    /// <param name="step">Has the run.</param>
    /// <param name="run">Sequences with equally many new tokens.</param>
    /// <param name="keys">How many positions the longest has.</param>
    public BlockTable Table(DecodingStep step, StepRun run, int keys)
    {
        var table = BlockTable.Of(run.Sequences, (keys + Size - 1) / Size);
        for (var row = 0; row < run.Sequences; row++)
        {
            var blocks = Of(step.Sequences[run.First + row].Number).Blocks;
            for (var index = 0; index < blocks.Count; index++) table[row, index] = blocks[index];
        }

        return table;
    }

    private Kept Of(int sequence) => (uint)sequence < (uint)_sequences.Count && _sequences[sequence] is { } kept
        ? kept
        : throw new ArgumentException($"there is no sequence {sequence}");

    private void Append(Kept kept, Tensor keys, Tensor? values, int firstRow, int count)
    {
        for (var written = 0; written < count;)
        {
            var (index, offset) = (kept.Count / Size, kept.Count % Size);
            var some = Math.Min(Size - offset, count - written);
            var block = Writable(kept, index, offset);
            Keys.Write(block, offset, keys, firstRow + written, some);
            if (_values is not null) _values.Write(block, offset, values!, firstRow + written, some);
            kept.Count += some;
            written += some;
        }
    }

    /// <summary>The block at an index, taken where there is none and copied where another sequence has it too.</summary>
    private int Writable(Kept kept, int index, int tokens)
    {
        if (index == kept.Blocks.Count)
        {
            kept.Blocks.Add(InStep(Keys.Take(), _values?.Take()));
        }
        else if (Keys.IsShared(kept.Blocks[index]))
        {
            var shared = kept.Blocks[index];
            kept.Blocks[index] = InStep(Keys.CopyOf(shared, tokens), _values?.CopyOf(shared, tokens));
            Release(shared);
        }

        return kept.Blocks[index];
    }

    /// <summary>Both pools take and give back in the same order, and so give the same numbers.</summary>
    private static int InStep(int key, int? value) =>
        value is null || value == key ? key : throw new InvalidOperationException($"keys are in block {key}, their values in {value}");

    private void DropUnseen(Kept kept, int position)
    {
        if (_layout.Keeps.Window is not { } window) return;
        var first = (_layout.Keeps.First + Size - 1) / Size;
        for (var index = first; (index + 1) * Size <= position - window - TokenCacheLayout.Slack && index < kept.Blocks.Count; index++)
        {
            if (kept.Blocks[index] == BlockTable.None) continue;
            Release(kept.Blocks[index]);
            kept.Blocks[index] = BlockTable.None;
            kept.FirstKept = (index + 1) * Size;
        }
    }

    private void DropFrom(Kept kept, int index)
    {
        for (var last = kept.Blocks.Count - 1; last >= index; last--)
        {
            if (kept.Blocks[last] != BlockTable.None) Release(kept.Blocks[last]);
            kept.Blocks.RemoveAt(last);
        }
    }

    private void Share(int block)
    {
        Keys.Share(block);
        _values?.Share(block);
    }

    private void Release(int block)
    {
        Keys.Release(block);
        _values?.Release(block);
    }

    /// <summary>The blocks of one sequence.</summary>
    private sealed class Kept(int blocks)
    {
        /// <summary>By index; <see cref="BlockTable.None"/> where it was given back.</summary>
        public List<int> Blocks { get; } = new(blocks);

        /// <summary>Tokens written.</summary>
        public int Count { get; set; }

        /// <summary>The first token behind those that were given back; 0 where none was.</summary>
        public int FirstKept { get; set; }
    }
}
