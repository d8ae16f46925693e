namespace Tessera.Tensors.Tests;

public unsafe class ArenaTests
{
    [Fact]
    public void Memory_is_used_again_after_a_scope_and_kept_within_it() => Samples.OnNewThread(() =>
    {
        nint first, nested;
        using (Arena.Current.Scope())
        {
            var outer = Tensor.From([1f, 2, 3], [3]);
            first = Address(outer);
            using (Arena.Current.Scope())
            {
                var inner = Tensor.From([4f, 5, 6], [3]);
                nested = Address(inner);
                Assert.NotEqual(first, nested);
            }

            using (Arena.Current.Scope()) Assert.Equal(nested, Address(Tensor.Temporary([3])));
            Assert.Equal(nested, Address(Tensor.From([7f, 8, 9], [3])));
            Assert.Equal([1, 2, 3], outer.ToArray());
        }

        using (Arena.Current.Scope()) Assert.Equal(first, Address(Tensor.Temporary([3])));
    });

    [Fact]
    public void A_temporary_that_is_read_after_its_scope_throws_whatever_is_asked_of_it()
    {
        Tensor floats, ints, wanting;
        using (Arena.Current.Scope())
        {
            (floats, ints) = (Tensor.Temporary([2, 2]), Tensor.Temporary([1], ElementType.I32));
            wanting = Tensor.Temporary([1]).WithGradient();
        }

        Assert.Throws<ObjectDisposedException>(() => floats.Floats.Length);
        Assert.Throws<ObjectDisposedException>(() => ints.Ints.Length);
        Assert.Throws<ObjectDisposedException>(() => floats.Bytes.Length);
        Assert.Throws<ObjectDisposedException>(() => floats.ToArray());
        Assert.Throws<ObjectDisposedException>(() => floats.Keep());
        Assert.Throws<ObjectDisposedException>(() => floats.Reshape([4]));
        Assert.Throws<ObjectDisposedException>(() => floats.WithGradient());
        Assert.Throws<ObjectDisposedException>(() => wanting.Gradient.Length);
        Assert.Throws<ObjectDisposedException>(() => Op.Softmax(floats));
        using var tape = Tape.Record();
        Assert.Throws<ObjectDisposedException>(() => tape.Backward(wanting));
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.Q8_0)]
    public void A_stored_temporary_that_is_read_after_its_scope_is_said_to_be_disposed(ElementType type)
    {
        Tensor stored;
        using (Arena.Current.Scope()) stored = Tensor.Temporary([2, 32], type);
        using var scope = Arena.Current.Scope();
        Assert.Throws<ObjectDisposedException>(() => stored.Shape);
        Assert.Throws<ObjectDisposedException>(() => stored.Type);
        Assert.Throws<ObjectDisposedException>(() => stored.Floats.Length);
        Assert.Throws<ObjectDisposedException>(() => Op.Linear(Tensor.Allocate([1, 5]), stored));
        Assert.Throws<ObjectDisposedException>(() => Op.Convert(stored, ElementType.F32));
        Assert.Throws<ObjectDisposedException>(() => Op.Add(Tensor.Allocate([1, 5]), stored));
        Assert.Contains("32", stored.ToString(), StringComparison.Ordinal); // a debugger may still look
    }

    [Fact]
    public void A_mask_that_is_read_after_its_scope_throws_and_names_itself() => Samples.OnNewThread(() =>
    {
        var segments = Tensor.Allocate([1, 4], ElementType.I32);
        BlockMask[] masks;
        using (Arena.Current.Scope())
        {
            var causal = BlockMask.Causal(4, 4);
            masks = [BlockMask.Full(4, 4), causal, causal.Within(2), causal.Chunked(2), causal.Global(1), causal.Spaced(2), causal.Segments(segments, segments)];
        }

        foreach (var mask in masks)
        {
            Assert.Contains(mask.GetType().Name, Assert.Throws<ObjectDisposedException>(() => mask.Queries).Message, StringComparison.Ordinal);
            Assert.Throws<ObjectDisposedException>(() => mask.Keys);
            Assert.Throws<ObjectDisposedException>(() => mask.Allows(0, 0, 0, 0));
            Assert.Throws<ObjectDisposedException>(() => mask.Within(1));
            using var scope = Arena.Current.Scope();
            var x = Tensor.Allocate([1, 4, 1, 8]);
            Assert.Throws<ObjectDisposedException>(() => Op.Attention(x, x, x, mask));
        }

        using (Arena.Current.Scope()) Assert.Equal(7, BlockMask.Causal(7, 7).Queries); // objects lent again live again
    });

    [Fact]
    public void A_mask_of_no_scope_may_be_kept() => Samples.OnNewThread(() =>
    {
        var mask = BlockMask.Causal(4, 4);
        using (Arena.Current.Scope()) Assert.True(mask.Allows(0, 0, 3, 0));
        Assert.Equal(4, mask.Keys);
    });

    [Fact]
    public void Every_block_is_aligned_and_apart_from_the_others()
    {
        using var scope = Arena.Current.Scope();
        var blocks = new List<(nint Start, nint End)>();
        foreach (var count in new[] { 0, 1, 15, 16, 17, 31, 32, 33, 100_000, 1, 300_000, 0, 7 })
        {
            var tensor = Tensor.Temporary([count]);
            Assert.Equal(0, Address(tensor) % 64);
            tensor.Floats.Fill(1);
            blocks.Add((Address(tensor), Address(tensor) + Math.Max(1, count * sizeof(float))));
        }

        blocks.Sort();
        for (var i = 1; i < blocks.Count; i++) Assert.True(blocks[i].Start >= blocks[i - 1].End);
    }

    [Fact]
    public void Chunks_are_joined_and_capacity_stays_flat_over_many_steps_of_changing_sizes() => Samples.OnNewThread(() =>
    {
        static void Step(int step)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Tensor.From(new float[200 * (1 + (step % 60))], [1 + (step % 60), 200]).WithGradient();
            var y = x;
            for (var i = 0; i < 20; i++)
            {
                using (Arena.Current.Scope()) Tensor.Temporary([1 << 14]).Floats.Clear();
                y = Op.Add(Op.Scale(y, 0.5f), y);
            }

            tape.Backward(y, new float[y.Floats.Length]);
        }

        for (var step = 0; step < 120; step++) Step(step);
        var capacity = Arena.Current.Capacity;
        nint all;
        using (Arena.Current.Scope()) // one chunk: a request of nearly everything fits
        {
            all = Address(Tensor.Temporary([(int)((capacity - 128) / sizeof(float))]));
            Assert.Equal(capacity, Arena.Current.Capacity);
        }

        for (var step = 0; step < 500; step++) Step(step);
        Assert.Equal(capacity, Arena.Current.Capacity);
        using (Arena.Current.Scope()) Assert.Equal(all, Address(Tensor.Temporary([1])));
    });

    [Fact]
    public void Blocks_given_back_are_taken_again_last_first_and_only_for_their_size() => Samples.OnNewThread(() =>
    {
        using var scope = Arena.Current.Scope();
        var blocks = Enumerable.Range(0, 4).Select(_ => Arena.Current.Take(100)).ToArray();
        foreach (var block in blocks) Arena.Current.Return(block, 100);
        var other = Arena.Current.Take(1000);
        Assert.DoesNotContain(other, blocks);
        Assert.Equal(blocks.Reverse(), Enumerable.Range(0, 4).Select(_ => Arena.Current.Take(100)).ToArray());
        Assert.DoesNotContain(Arena.Current.Take(100), blocks);
    });

    [Fact]
    public void Sizes_never_seen_before_leave_no_garbage() => Samples.OnNewThread(() =>
    {
        static void Step(int bytes)
        {
            using var scope = Arena.Current.Scope();
            for (var i = 0; i < 3; i++) Arena.Current.Return(Arena.Current.Take(bytes + i), bytes + i);
        }

        for (var i = 0; i < 3; i++) Step(1 << 19);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var bytes = 64; bytes < 1 << 18; bytes += 256) Step(bytes);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    });

    [Fact]
    public void Used_up_gradients_give_their_memory_to_later_ones() => Samples.OnNewThread(() =>
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From(new float[1 << 18], [1 << 18]).WithGradient();
        var y = x;
        for (var i = 0; i < 50; i++) y = Op.Scale(y, 1);
        tape.Backward(y, new float[1 << 18]);
        Assert.InRange(Arena.Current.Capacity, 51 << 20, 90 << 20); // 51 tensors and a few gradients of 1 MiB, not 51
    });

    [Fact]
    public void A_gradient_that_arrives_in_an_inner_scope_lives_as_long_as_its_tensor() => Samples.OnNewThread(() =>
    {
        using var run = Arena.Current.Scope();
        var capacity = 0L;
        for (var step = 0; step < 50; step++)
        {
            using var outer = Arena.Current.Scope();
            var x = Tensor.From(new float[1000], [1000]).WithGradient();
            for (var part = 0; part < 3; part++)
            {
                using var inner = Arena.Current.Scope();
                using var tape = Tape.Record();
                var y = Op.Scale(x, 2);
                using (Arena.Current.Scope()) tape.Backward(y, [.. Enumerable.Repeat(1f, 1000)]);
                Tensor.From([.. Enumerable.Repeat(float.NaN, 5000)], [5000]);
            }

            Tensor.From([.. Enumerable.Repeat(float.NaN, 5000)], [5000]);
            Assert.All(x.Gradient.ToArray(), value => Assert.Equal(6, value));
            if (step == 10) capacity = Arena.Current.Capacity;
        }

        Assert.Equal(capacity, Arena.Current.Capacity);
    });

    [Fact]
    public void An_inner_scope_that_an_exception_left_open_is_closed_with_the_outer_one() => Samples.OnNewThread(() =>
    {
        for (var i = 0; i < 100; i++)
        {
            using var outer = Arena.Current.Scope();
            Arena.Current.Scope(); // never disposed
            Tensor.Temporary([1 << 19]);
            Tensor.Temporary([1 << 19]);
        }

        var capacity = Arena.Current.Capacity;
        using (Arena.Current.Scope()) Tensor.Temporary([(int)((capacity - 128) / sizeof(float))]);
        Assert.Equal(capacity, Arena.Current.Capacity); // joined: the arena knows that all scopes have ended
    });

    [Fact]
    public void Each_thread_has_its_own()
    {
        using var scope = Arena.Current.Scope();
        var here = Arena.Current;
        Samples.OnNewThread(() => Assert.NotSame(here, Arena.Current));
        Assert.Same(here, Arena.Current);
    }

    private static nint Address(Tensor tensor)
    {
        fixed (byte* start = &System.Runtime.InteropServices.MemoryMarshal.GetReference(tensor.Bytes)) return (nint)start;
    }
}
