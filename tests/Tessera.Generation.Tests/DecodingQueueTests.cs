using Tessera.Generation.Sampling;
using Tessera.Models;

namespace Tessera.Generation.Tests;

public sealed class DecodingQueueTests
{
    private static readonly int[] s_stops = [SpecialTokens.End];

    [Theory]
    [InlineData(true, 64)]
    [InlineData(false, 64)]
    [InlineData(false, 2)]
    public async Task Callers_at_once_get_what_each_would_get_alone(bool readsSource, int maxSequences)
    {
        var model = TinyModel.Build(readsSource, 300, 4);
        using var queue = new DecodingQueue(model, maxSequences);
        int[][] prompts =
        [
            .. Enumerable.Range(0, 12).Select(caller => Enumerable.Range(3, 1 + (caller % 5)).Select(token => token + caller).ToArray())];
        DecodingOptions Options(int caller) => caller % 3 == 0 ? new SamplingOptions(0.9f, Seed: (ulong)caller) : new GreedyOptions();
        var asked = prompts
            .Select((prompt, caller) => Task.Run(() => queue.GenerateAsync(prompt, Options(caller), 5 + caller, s_stops)))
            .ToArray();
        var found = await Task.WhenAll(asked);
        for (var caller = 0; caller < prompts.Length; caller++)
        {
            var alone = Generator.Generate(model, [prompts[caller]], Options(caller), 5 + caller, s_stops)[0];
            Assert.Equal(alone.Ids, found[caller].Ids);
            Assert.Equal(alone.FinishReason, found[caller].FinishReason);
            Assert.Equal(alone.Score, found[caller].Score, 1e-4);
        }
    }

    [Fact]
    public async Task A_caller_who_leaves_stops_nobody_else()
    {
        using var queue = new DecodingQueue(TinyModel.Build(readsSource: false, 300, 4));
        using var source = new CancellationTokenSource();
        var leaving = Task.Run(async () =>
        {
            await foreach (var _ in queue.StreamAsync([5], new GreedyOptions { MinNewTokens = 900 }, 900, s_stops, source.Token))
                await source.CancelAsync();
        });
        var staying = queue.GenerateAsync([6, 7], new GreedyOptions { MinNewTokens = 30 }, 30, s_stops);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        Assert.Equal(30, (await staying).Ids.Count);
        await foreach (var _ in queue.StreamAsync([5], new GreedyOptions { MinNewTokens = 900 }, 900, s_stops)) break; // without a word
        Assert.NotEmpty((await queue.GenerateAsync([9], new GreedyOptions(), 3, s_stops)).Ids);
    }

    [Theory]
    [InlineData("index", true)]
    [InlineData("key", true)]
    [InlineData("cancelled", true)]
    [InlineData("index", false)]
    [InlineData("key", false)]
    [InlineData("cancelled", false)]
    [InlineData("operation", false)]
    [InlineData("memory", false)]
    public async Task What_a_callers_own_code_throws_is_told_to_that_caller_alone(string fault, bool inConstraint)
    {
        using var queue = new DecodingQueue(TinyModel.Build(readsSource: false, 300, 4));
        var staying = queue.GenerateAsync([6, 7], new GreedyOptions { MinNewTokens = 200 }, 200, s_stops);
        var faulty = inConstraint
            ? new GreedyOptions { Constraint = new FaultyConstraint(() => Fault(fault)) }
            : new GreedyOptions { Processors = [new FaultyProcessor(() => Fault(fault))] };
        var error = await Assert.ThrowsAsync(Fault(fault).GetType(), () => queue.GenerateAsync([5], faulty, 9, s_stops));
        Assert.Equal("the caller's own", error.Message);
        Assert.Equal(200, (await staying).Ids.Count);
        Assert.NotEmpty((await queue.GenerateAsync([9], new GreedyOptions(), 3, s_stops)).Ids);
    }

    [Fact]
    public async Task Who_waits_in_a_full_queue_may_leave_before_there_is_room()
    {
        using var queue = new DecodingQueue(TinyModel.Build(readsSource: false, 300, 4), maxSequences: 1);
        using var stop = new CancellationTokenSource();
        using var leave = new CancellationTokenSource();
        var endless = new GreedyOptions { MinNewTokens = 1_000_000 };
        var running = queue.GenerateAsync([5], endless, 1_000_000, s_stops, stop.Token);
        var waiting = queue.GenerateAsync([6], endless, 1_000_000, s_stops, leave.Token);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.False(running.IsCompleted);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.NotEmpty((await queue.GenerateAsync([9], new GreedyOptions(), 3, s_stops)).Ids);
    }

    [Fact]
    public async Task The_smaller_of_two_limits_counts_and_memory_is_not_taken_for_what_may_never_come()
    {
        var model = TinyModel.Build(readsSource: false, 300, 4);
        using var queue = new DecodingQueue(model);
        foreach (var (own, asked, expected) in ((int?, int, int)[])[(3, 10, 3), (10, 3, 3), (3, int.MaxValue, 3), (null, 3, 3)])
        {
            var options = new GreedyOptions { MaxNewTokens = own, MinNewTokens = 3 };
            Assert.Equal(expected, (await queue.GenerateAsync([5], options, asked, s_stops)).Ids.Count);
            Assert.Equal(expected, Generator.Generate(model, [[5]], options, asked, s_stops)[0].Ids.Count);
            var beams = new BeamOptions(2) { MaxNewTokens = own, MinNewTokens = 3 };
            Assert.Equal(expected, Generator.Generate(model, [[5]], beams, asked, s_stops)[0].Ids.Count);
        }

        int[] any = [.. Enumerable.Range(0, 300)];
        Assert.Equal(FinishReason.StopToken, (await queue.GenerateAsync([5], new GreedyOptions(), int.MaxValue, any)).FinishReason);
        Assert.Equal(FinishReason.StopToken, Generator.Generate(model, [[5]], new GreedyOptions(), int.MaxValue, any)[0].FinishReason);
    }

    [Fact]
    public async Task More_tokens_at_least_than_at_most_are_refused()
    {
        const string Message = "min new tokens is 30; allowed: 0 to 10, the greatest number of tokens here";
        var model = TinyModel.Build(readsSource: false, 300, 4);
        using var queue = new DecodingQueue(model);
        var options = new GreedyOptions { MinNewTokens = 30 };
        Assert.Equal(Message, Assert.Throws<ArgumentException>(() => Generator.Generate(model, [[5]], options, 10)).Message);
        Assert.Equal(Message, Assert.Throws<ArgumentException>(() => Generator.Stream(model, [5], options, 10)).Message);
        Assert.Equal(
            Message, (await Assert.ThrowsAsync<ArgumentException>(() => queue.GenerateAsync([5], options, 10, s_stops))).Message);
        Assert.Empty(Generator.Generate(model, [], new GreedyOptions(), 10));
    }

    [Fact]
    public async Task What_cannot_be_decoded_is_told_to_the_one_who_asked()
    {
        var model = TinyModel.Build(readsSource: false, 300, 4);
        var queue = new DecodingQueue(model);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => queue.GenerateAsync([300], new GreedyOptions(), 3, s_stops));
        Assert.StartsWith("there is no token 300; the model's are 0 to 299", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => queue.GenerateAsync([], new GreedyOptions(), 3, s_stops));
        await Assert.ThrowsAsync<ArgumentException>(() => queue.GenerateAsync([4], new BeamOptions(), 3, s_stops));
        await Assert.ThrowsAsync<NoTokenAllowedException>(
            () => queue.GenerateAsync([4], new GreedyOptions { Constraint = new AllowedTokens([]) }, 3, s_stops));
        Assert.NotEmpty((await queue.GenerateAsync([9], new GreedyOptions(), 3, s_stops)).Ids);

        var late = queue.GenerateAsync([5], new GreedyOptions { MinNewTokens = 100_000 }, 100_000, s_stops);
        queue.Dispose();
        queue.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => late);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => queue.GenerateAsync([5], new GreedyOptions(), 3, s_stops));
        model.Close();
        using var closed = new DecodingQueue(model);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => closed.GenerateAsync([5], new GreedyOptions(), 3, s_stops));
    }

    private static Exception Fault(string kind) => kind switch
    {
        "index" => new FormatException("the caller's own"),
        "key" => new KeyNotFoundException("the caller's own"),
        "cancelled" => new OperationCanceledException("the caller's own"),
        "operation" => new InvalidOperationException("the caller's own"),
        _ => new InsufficientMemoryException("the caller's own"),
    };

    private sealed class FaultyProcessor(Func<Exception> fault) : LogitsProcessor
    {
        public override void Apply(Span<float> logits, TokenHistory history)
        {
            if (history.Position == 2) throw fault();
        }
    }

    private sealed class FaultyConstraint(Func<Exception> fault) : TokenConstraint
    {
        private int _accepted;

        public override bool Restrict(TokenMask allowed) => false;

        public override void Accept(int token)
        {
            if (++_accepted == 2) throw fault();
        }

        public override void Rollback(int tokens) => _accepted -= tokens;

        public override TokenConstraint Fork() => new FaultyConstraint(fault);
    }
}
