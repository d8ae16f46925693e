using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Tessera.Tensors;

/// <summary>
/// The memory of one thread's current step. Temporaries, their gradients and the tape's entries are taken from it by
/// moving a pointer and are all given back at once when the <see cref="Scope"/> they were made in ends; their objects are
/// used again too, so that a step that has been seen before allocates nothing.
/// <para>Each thread has its own arena. Nothing that is taken from one may be kept beyond its scope.</para>
/// </summary>
public sealed unsafe class Arena
{
    private const long SmallestChunk = 1 << 20;

    [ThreadStatic] private static Arena? s_current;

    private readonly List<NativeBuffer> _chunks = [];

    // Of each size, the block that was given back last; each holds the address of the one before it, so that sizes that are
    // never seen again, as of buffers that grow with a sequence, leave nothing behind.
    private readonly Dictionary<long, nint> _returned = [];
    private readonly Pooled<Tensor> _tensors = new();
    private readonly Pooled<GradientSlot> _slots = new();
    private readonly List<IEntryPool> _entryPools = [];
    private readonly List<object> _objectPools = [];
    private readonly List<Lent> _lent = [];
    private int _chunk;
    private long _offset;
    private int _depth;

    // Gradients that arrive in a scope further in than their tensor's, and must outlive it, live in an arena of their own.
    // The depth is that of the outermost tensor among those served since the current scope was opened.
    private Arena? _outliving;
    private int _outlivingDepth = int.MaxValue;

    private Arena() { }

    /// <summary>The calling thread's arena.</summary>
    public static Arena Current => s_current ??= new Arena();

    /// <summary>Bytes of native memory the arena holds, used or not.</summary>
    public long Capacity
    {
        get
        {
            var bytes = _outliving?.Capacity ?? 0;
            foreach (var chunk in _chunks) bytes += chunk.Bytes;
            return bytes;
        }
    }

    /// <summary>
    /// Opens a scope: everything taken until it is disposed is given back then. Scopes nest.
    /// <code>using (Arena.Current.Scope()) { … one step … }</code>
    /// </summary>
    public ArenaScope Scope()
    {
        if (_depth == 0) Join();
        var mark = new Mark(_depth++, Here, _tensors.Used, _slots.Used, _lent.Count, _outliving?.Here ?? default, _outlivingDepth);
        _outlivingDepth = int.MaxValue;
        return new ArenaScope(this, mark);
    }

    /// <summary>An object that lives until the current scope ends and is lent again later, so that what each step needs anew
    /// costs no garbage. It is as <see cref="Recycled.Forget"/> left it; outside of any scope it is the caller's for good.</summary>
    /// <param name="make">Makes one where none is free.</param>
    public T Lend<T>(Func<T> make) where T : Recycled
    {
        if (_depth == 0) return make();
        if (Objects<T>().TryPop(out var item)) item.Begin();
        else item = make();
        _lent.Add(new Lent(item, static (arena, item) => arena.Objects<T>().Push((T)item)));
        return item;
    }

    /// <summary>How many scopes are open.</summary>
    internal int Depth => _depth;

    internal Tensor Tensor(Shape shape, ElementType type)
    {
        var tensor = Blank();
        tensor.Bind(Take(type.Bytes(shape)), shape, type);
        return tensor;
    }

    internal Tensor Blank() => _tensors.Next() ?? _tensors.Add(new Tensor());

    internal GradientSlot Slot(int count)
    {
        if (_slots.Next() is not { } slot) return _slots.Add(new GradientSlot(count, this, _depth));
        slot.Reuse(count, this, _depth);
        return slot;
    }

    /// <summary>The arena whose memory lives as long as what was made at the given depth of scopes.</summary>
    internal Arena For(int depth)
    {
        if (depth >= _depth) return this;
        _outlivingDepth = Math.Min(_outlivingDepth, depth);
        return _outliving ??= new Arena();
    }

    /// <summary>A recycled or new tape entry; it goes back with <see cref="Recycle"/>.</summary>
    internal T Entry<T>() where T : TapeEntry, new() => Pool<T>().Take();

    internal void Recycle(TapeEntry entry) => _entryPools[entry.PoolIndex].Give(entry);

    /// <summary>The address of <paramref name="bytes"/> bytes, aligned, not set.</summary>
    internal nint Take(long bytes)
    {
        if (NativeBuffer.Source is not null) return TakeAlone(bytes);
        var rounded = Round(bytes);
        ref var returned = ref CollectionsMarshal.GetValueRefOrNullRef(_returned, rounded);
        if (!Unsafe.IsNullRef(ref returned) && returned != 0)
        {
            var last = returned;
            returned = *(nint*)last;
            return last;
        }

        while (_chunk < _chunks.Count && _offset + rounded > _chunks[_chunk].Bytes) (_chunk, _offset) = (_chunk + 1, 0);
        if (_chunk == _chunks.Count) _chunks.Add(new NativeBuffer(Math.Max(rounded, Math.Max(SmallestChunk, Capacity / 2)), zeroed: false));
        var address = _chunks[_chunk].Address + (nint)_offset;
        _offset += rounded;
        return address;
    }

    /// <summary>Gives one block back before its scope ends; the next request of its size gets it.</summary>
    internal void Return(nint address, long bytes)
    {
        if (NativeBuffer.Source is not null) return;
        ref var returned = ref CollectionsMarshal.GetValueRefOrAddDefault(_returned, Round(bytes), out _);
        *(nint*)address = returned;
        returned = address;
    }

    /// <summary>A block in a buffer of its own, so that it ends where the buffer does.</summary>
    private nint TakeAlone(long bytes)
    {
        _chunks.Add(new NativeBuffer(bytes, zeroed: false));
        return _chunks[_chunk++].Address;
    }

    private static long Round(long bytes) =>
        (bytes + (2 * NativeBuffer.Alignment) - 1) / NativeBuffer.Alignment * NativeBuffer.Alignment;

    private Place Here => new(_chunk, _offset);

    private void End(Mark mark)
    {
        if (_depth <= mark.Depth) return; // ended before, or with a scope around it
        _tensors.Rewind(mark.Tensors, tensor => tensor.Release());
        _slots.Rewind(mark.Slots, null);
        TakeBack(mark.Lent);
        Rewind(mark.Place);
        _depth = mark.Depth; // scopes that were opened inside and never disposed end as well

        var outlivesThis = _outlivingDepth <= mark.Depth;
        _outlivingDepth = outlivesThis ? Math.Min(_outlivingDepth, mark.OutlivingDepth) : mark.OutlivingDepth;
        if (outlivesThis || _outliving is null) return;
        _outliving.Rewind(mark.OutlivingPlace);
        _outliving.Join();
    }

    private void Rewind(Place place)
    {
        _returned.Clear();
        if (NativeBuffer.Source is not null)
        {
            for (var i = place.Chunk; i < _chunks.Count; i++) _chunks[i].Dispose();
            _chunks.RemoveRange(place.Chunk, _chunks.Count - place.Chunk);
        }

        (_chunk, _offset) = (place.Chunk, place.Offset);
    }

    /// <summary>Where nothing is in use and the last step outgrew its chunks, from now on one chunk holds all of it.</summary>
    private void Join()
    {
        if (_chunks.Count <= 1 || Here != default) return;
        var total = 0L;
        foreach (var chunk in _chunks) total += chunk.Bytes;
        foreach (var chunk in _chunks) chunk.Dispose();
        _chunks.Clear();
        _chunks.Add(new NativeBuffer(total, zeroed: false));
    }

    private void TakeBack(int lentBefore)
    {
        for (var i = _lent.Count - 1; i >= lentBefore; i--)
        {
            _lent[i].Item.End();
            _lent[i].Return(this, _lent[i].Item);
        }

        _lent.RemoveRange(lentBefore, _lent.Count - lentBefore);
    }

    private Stack<T> Objects<T>() where T : Recycled
    {
        var index = ObjectIndex<T>.Value;
        while (_objectPools.Count <= index) _objectPools.Add(this);
        if (_objectPools[index] is Stack<T> pool) return pool;
        pool = new Stack<T>();
        _objectPools[index] = pool;
        return pool;
    }

    private EntryPool<T> Pool<T>() where T : TapeEntry, new()
    {
        var index = EntryPool<T>.Index;
        while (_entryPools.Count <= index) _entryPools.Add(EmptyPool.Instance);
        if (_entryPools[index] is EntryPool<T> pool) return pool;
        pool = new EntryPool<T>();
        _entryPools[index] = pool;
        return pool;
    }

    internal readonly record struct Place(int Chunk, long Offset);

    internal readonly record struct Mark(
        int Depth, Place Place, int Tensors, int Slots, int Lent, Place OutlivingPlace, int OutlivingDepth);

    /// <summary>A span of an arena's life; see <see cref="Arena.Scope"/>. Dispose it once, innermost first.</summary>
    public readonly ref struct ArenaScope
    {
        private readonly Arena _arena;
        private readonly Mark _mark;

        internal ArenaScope(Arena arena, Mark mark) => (_arena, _mark) = (arena, mark);

        /// <summary>Gives back what was taken since the scope was opened.</summary>
        public void Dispose() => _arena.End(_mark);
    }

    private sealed class Pooled<T> where T : class
    {
        private readonly List<T> _items = [];

        public int Used { get; private set; }

        public T? Next() => Used < _items.Count ? _items[Used++] : null;

        public T Add(T item)
        {
            _items.Add(item);
            Used++;
            return item;
        }

        public void Rewind(int used, Action<T>? release)
        {
            if (release is not null)
                for (var i = used; i < Used; i++) release(_items[i]);
            Used = used;
        }
    }

    /// <summary>An object in use, and how it goes back to those of its type.</summary>
    private readonly record struct Lent(Recycled Item, Action<Arena, Recycled> Return);

    private static class ObjectIndex<T>
    {
        public static readonly int Value = EntryIndex.Next();
    }

    private interface IEntryPool
    {
        void Give(TapeEntry entry);
    }

    private sealed class EmptyPool : IEntryPool
    {
        public static readonly EmptyPool Instance = new();

        public void Give(TapeEntry entry) { }
    }

    private static class EntryIndex
    {
        private static int s_next = -1;

        public static int Next() => Interlocked.Increment(ref s_next);
    }

    private sealed class EntryPool<T> : IEntryPool where T : TapeEntry, new()
    {
        public static readonly int Index = EntryIndex.Next();

        private readonly Stack<T> _free = new();

        public T Take() => _free.TryPop(out var entry) ? entry : new T { PoolIndex = Index };

        public void Give(TapeEntry entry) => _free.Push((T)entry);
    }
}
