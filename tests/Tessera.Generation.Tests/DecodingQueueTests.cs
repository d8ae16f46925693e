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
}
