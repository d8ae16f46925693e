using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Caches;

public class TokenBlocksTests
{
    private const StringComparison Ordinal = StringComparison.Ordinal;

    public static TheoryData<ElementType> Types => [ElementType.F32, ElementType.BF16, ElementType.Q8_0];

    [Theory]
    [MemberData(nameof(Types))]
    public void Any_sequence_of_calls_leaves_what_plain_arrays_hold(ElementType type)
    {
        var calls = Gen.Choose(0, 99).Zip(Gen.Choose(0, int.MaxValue)).ListOf(120);
        Samples.ForAll(calls, list =>
        {
            var model = new Model(type);
            foreach (var (kind, choice) in list) model.Call(kind, choice);
            model.Compare();
        }, cases: 25);
    }

    [Fact]
    public void The_block_released_last_is_taken_first_and_holds_zeros()
    {
        using var scope = Arena.Current.Scope();
        var blocks = new TokenBlocks(1, 2);
        Assert.Equal([0, 1, 2], [blocks.Take(), blocks.Take(), blocks.Take()]);
        foreach (var block in new[] { 2, 0 })
        {
            blocks.Write(block, 10, Tensor.From([1f, float.NaN], [1, 2]), 0, 1);
            blocks.Release(block);
        }

        Assert.Equal(1, blocks.Count);
        Assert.Equal([0, 2, 3], [blocks.Take(), blocks.Take(), blocks.Take()]);
        var rows = Tensor.Temporary([64, 1, 2]);
        foreach (var block in new[] { 0, 2, 3 })
        {
            blocks.Read(block, 0, 64, rows, 0);
            Assert.All(rows.ToArray(), value => Assert.Equal(0, value));
        }
    }

    [Fact]
    public void A_shared_block_is_written_to_in_a_copy()
    {
        using var scope = Arena.Current.Scope();
        var blocks = new TokenBlocks(2, 3);
        var tokens = Tensor.From([.. Enumerable.Range(1, 24).Select(i => (float)i)], [2, 2, 2, 3]);
        var block = blocks.Take();
        blocks.Write(block, 0, tokens, 0, 4);
        blocks.Share(block);
        Assert.True(blocks.IsShared(block));
        var error = Assert.Throws<InvalidOperationException>(() => blocks.Write(block, 4, tokens, 0, 1));
        Assert.Equal("token blocks: block 0 is shared, by 2; write to a copy", error.Message);

        var copy = blocks.CopyOf(block, 3);
        blocks.Release(block);
        Assert.False(blocks.IsShared(block) || blocks.IsShared(copy));
        blocks.Write(copy, 3, tokens, 0, 1);
        Assert.Equal([.. tokens.ToArray().AsSpan(0, 18), 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0], Read(blocks, copy, 5));
        Assert.Equal([.. tokens.ToArray(), 0, 0, 0, 0, 0, 0], Read(blocks, block, 5));
    }

    [Fact]
    public unsafe void A_block_stays_where_it_is_and_memory_grows_with_what_is_held()
    {
        var blocks = new TokenBlocks(2, 16);
        Assert.Equal(0, blocks.Bytes);
        var addresses = new List<nint>();
        for (var block = 0; block < 3000; block++)
        {
            Assert.Equal(block, blocks.Take());
            addresses.Add(((nint*)blocks.Addresses)[block]);
            Assert.Equal(0, addresses[^1] % 64);
            var held = TokenBlocks.BytesOf(64L * (block + 1), 2, 16, ElementType.F32);
            Assert.InRange(blocks.Bytes, held, Math.Min(2 * held, held + (4 << 20)));
        }

        for (var block = 0; block < 3000; block++) Assert.Equal(addresses[block], ((nint*)blocks.Addresses)[block]);
        var bytes = blocks.Bytes;
        for (var block = 0; block < 3000; block++) blocks.Release(block);
        for (var block = 0; block < 3000; block++) blocks.Take();
        Assert.Equal(bytes, blocks.Bytes);
        Assert.Equal(3000, addresses.Distinct().Count());
    }

    [Theory]
    [InlineData(0, 8, 128, ElementType.F32, 0)]
    [InlineData(1, 8, 128, ElementType.F32, 64 * 8 * 128 * 4)]
    [InlineData(64, 8, 128, ElementType.BF16, 64 * 8 * 128 * 2)]
    [InlineData(65, 8, 128, ElementType.Q8_0, 2 * 64 * 8 * 4 * 34)]
    [InlineData(1L << 40, 1, 1, ElementType.F32, 4L << 40)]
    public void What_tokens_would_take_is_known_without_taking_it(long tokens, int heads, int width, ElementType type, long bytes) =>
        Assert.Equal(bytes, TokenBlocks.BytesOf(tokens, heads, width, type));

    [Fact]
    public void Bad_arguments_are_named_in_one_line()
    {
        using var scope = Arena.Current.Scope();
        string Error(Action call) => Assert.ThrowsAny<ArgumentException>(call).Message;
        Assert.Contains("a head of Q8_0 is 48 wide, expected a multiple of 32",
            Error(() => _ = new TokenBlocks(1, 48, ElementType.Q8_0)), Ordinal);
        Assert.Contains("type is Q4_0, expected F32, BF16 or Q8_0", Error(() => _ = new TokenBlocks(1, 64, ElementType.Q4_0)), Ordinal);
        Assert.Contains("0 heads of 5", Error(() => _ = new TokenBlocks(0, 5)), Ordinal);
        Assert.Contains("0 heads of 5", Error(() => TokenBlocks.BytesOf(1, 0, 5, ElementType.F32)), Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenBlocks.BytesOf(-1, 1, 5, ElementType.F32));

        var blocks = new TokenBlocks(2, 32, ElementType.Q8_0);
        Assert.Contains("block 0 was never taken", Error(() => blocks.Share(0)), Ordinal);
        (_, _) = (blocks.Take(), blocks.Take());
        blocks.Release(1);
        Action[] calls = [() => blocks.Release(1), () => blocks.Share(1), () => blocks.IsShared(1), () => blocks.CopyOf(1, 0)];
        foreach (var call in calls) Assert.Contains("block 1 has been released", Error(call), Ordinal);
        Assert.Contains("block -1 was never taken; 0 to 1 were", Error(() => blocks.Release(-1)), Ordinal);
        Assert.Contains("block 2 was never taken; 0 to 1 were", Error(() => blocks.Release(2)), Ordinal);
        Assert.Contains("65 tokens of a block from 0 on are asked for; there are 64", Error(() => blocks.CopyOf(0, 65)), Ordinal);

        var rows = Tensor.Temporary([3, 2, 32]);
        rows.Floats.Clear();
        Assert.Contains("3 tokens of a block from 62 on", Error(() => blocks.Write(0, 62, rows, 0, 3)), Ordinal);
        Assert.Contains("-1 tokens", Error(() => blocks.Read(0, 0, -1, rows, 0)), Ordinal);
        Assert.Contains("rows is F32 [3, 2, 32], expected F32 [at least 4 rows, 2, 32]",
            Error(() => blocks.Write(0, 0, rows, 2, 2)), Ordinal);
        Assert.Contains("to is F32 [3, 64], expected", Error(() => blocks.Read(0, 0, 1, rows.Reshape([3, 64]), 0)), Ordinal);
        Assert.Contains("rows is I32", Error(() => blocks.Write(0, 0, Tensor.Temporary([3, 2, 32], ElementType.I32), 0, 1)), Ordinal);
        foreach (var bad in new[] { float.NaN, float.NegativeInfinity })
        {
            rows.Floats[40] = bad;
            Assert.Contains("not finite, which Q8_0 cannot hold", Error(() => blocks.Write(0, 0, rows, 0, 1)), Ordinal);
        }
    }

    private static float[] Read(TokenBlocks blocks, int block, int count)
    {
        var rows = Tensor.Temporary([count, blocks.Heads, blocks.Width]);
        blocks.Read(block, 0, count, rows, 0);
        return rows.ToArray();
    }

    /// <summary>A pool beside arrays that hold what it should; every call is done on both.</summary>
    private sealed class Model(ElementType type)
    {
        private const int Heads = 2, Width = 32, Token = Heads * Width, Size = TokenBlocks.Size;

        private readonly TokenBlocks _blocks = new(Heads, Width, type);
        private readonly Dictionary<int, (int References, float[] Numbers)> _held = [];
        private readonly Stack<int> _released = [];
        private int _used;

        public void Call(int kind, int choice)
        {
            using var scope = Arena.Current.Scope();
            var block = _held.Count == 0 ? -1 : _held.Keys.Order().ElementAt(choice % _held.Count);
            if (kind < 20 || block < 0)
            {
                Add(_blocks.Take(), new float[Size * Token]);
                return;
            }

            var (references, numbers) = _held[block];
            switch (kind)
            {
                case < 35: Share(block, references, numbers); break;
                case < 60: Release(block, references, numbers); break;
                case < 70: Copy(block, numbers, choice / 7 % (Size + 1)); break;
                default: Write(block, references, numbers, choice); break;
            }
        }

        public void Compare()
        {
            using var scope = Arena.Current.Scope();
            Assert.Equal(_held.Count, _blocks.Count);
            foreach (var (block, (references, numbers)) in _held)
            {
                Assert.Equal(references > 1, _blocks.IsShared(block));
                Assert.Equal(numbers, Read(_blocks, block, Size));
            }
        }

        private void Add(int block, float[] numbers)
        {
            Assert.Equal(_released.TryPop(out var released) ? released : _used++, block);
            _held.Add(block, (1, numbers));
        }

        private void Share(int block, int references, float[] numbers)
        {
            _blocks.Share(block);
            _held[block] = (references + 1, numbers);
        }

        private void Release(int block, int references, float[] numbers)
        {
            _blocks.Release(block);
            _held[block] = (references - 1, numbers);
            if (references > 1) return;
            _held.Remove(block);
            _released.Push(block);
            Assert.Throws<ArgumentException>(() => _blocks.Release(block));
        }

        private void Copy(int block, float[] numbers, int tokens)
        {
            var copied = new float[numbers.Length];
            numbers.AsSpan(0, tokens * Token).CopyTo(copied);
            Add(_blocks.CopyOf(block, tokens), copied);
        }

        private void Write(int block, int references, float[] numbers, int choice)
        {
            var (first, firstRow) = (choice % Size, choice / 64 % 4);
            var count = choice / 256 % (Size - first + 1);
            Shape shape = [firstRow + count, Heads, Width];
            var rows = Tensor.From(OperationCheck.Random(shape, choice).Values, shape);
            if (references > 1)
            {
                Assert.Throws<InvalidOperationException>(() => _blocks.Write(block, first, rows, firstRow, count));
                return;
            }

            _blocks.Write(block, first, rows, firstRow, count);
            Op.Convert(Op.Convert(rows, type), ElementType.F32).Floats[(firstRow * Token)..].CopyTo(numbers.AsSpan(first * Token));
            var part = Tensor.Temporary([count + 1, Heads, Width]);
            _blocks.Read(block, first, count, part, 1);
            Assert.Equal(numbers.AsSpan(first * Token, count * Token), part.Floats[Token..]);
        }
    }
}
