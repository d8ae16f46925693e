using Tessera.Tensors.Kernels;
using Tessera.Tensors.Tests.Fuzz;
using Tessera.Tensors.Tests.Ops;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>
/// Attention on emulated tiles against its equation in double precision, forward and backward. Where the processor has tiles,
/// <see cref="AttentionBf16Tests"/> and the fuzzed cases prove the same on them.
/// </summary>
[Collection(AmxCollection.Name)]
public class AmxAttentionTests
{
    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void Every_mask_with_a_sink_and_a_bias_agrees_with_the_equation() => OnTiles(() =>
    {
        foreach (var mask in AttentionTests.MaskNames)
            AttentionBf16Tests.Agree(new AttentionTests.Sizes(1, 20, 70, 73, 2, 1, 24, 40, mask, Cap: 0));
    });

    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void Lengths_and_widths_around_those_of_tiles_agree_with_the_equation() => OnTiles(() =>
    {
        foreach (var (queries, keys, width, valueWidth) in
                 (ReadOnlySpan<(int, int, int, int)>)
                 [(7, 1, 1, 1), (31, 33, 32, 64), (64, 64, 64, 64), (65, 65, 17, 33), (33, 130, 5, 7), (63, 63, 65, 31)])
        {
            AttentionBf16Tests.Agree(new AttentionTests.Sizes(1, queries, keys, keys + 3, 2, 2, width, valueWidth, "causal", Cap: 1.5f));
            AttentionBf16Tests.Agree(
                new AttentionTests.Sizes(1, queries, keys, keys, 3, 1, width, valueWidth, "causal", Cap: 0, Plain: true));
        }
    });

    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void Many_tiles_on_several_threads_agree_with_the_equation() => OnTiles(() =>
    {
        AttentionBf16Tests.Agree(new AttentionTests.Sizes(2, 200, 200, 200, 2, 1, 32, 32, "causal", Cap: 0, Plain: true));
        AttentionBf16Tests.Agree(new AttentionTests.Sizes(1, 140, 300, 300, 3, 1, 32, 32, "chosen-64x1", Cap: 0, Plain: true));
        AttentionBf16Tests.Agree(new AttentionTests.Sizes(1, 70, 500, 500, 4, 2, 32, 32, "causal", Cap: 0, Plain: true)); // over a cache
    });

    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void Random_masks_biases_sinks_caps_and_caches_agree_with_the_equation_twice_in_the_same_bits() => OnTiles(() =>
    {
        foreach (var operation in (ReadOnlySpan<string>)["attention-bf16", "block-attention-bf16"])
            for (var number = 0UL; number < 60; number++) Fuzzed.Case(operation, number).Run();
    });

    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void What_is_not_a_number_goes_where_the_equation_takes_it() => OnTiles(() =>
    {
        var tests = new AttentionBf16Tests();
        tests.NaN_in_a_value_reaches_its_column_of_the_output(0xFFFFFFFF);
        tests.A_bias_that_is_not_a_number_spoils_its_query_whatever_its_bits_and_no_other(Precision.BF16);
    });

    [LevelFact(KernelLevel.Vector512, atAnyLevel: true)]
    public void Few_queries_over_a_long_cache_are_not_worth_packing_it()
    {
        using var scope = Arena.Current.Scope();
        using var precision = Autocast.Enter(Precision.BF16);
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        foreach (var (queries, keys) in (ReadOnlySpan<(int, int)>)[(16, 200), (64, 256), (64, 255), (65, 300), (7, 7)])
        {
            var products = emulation.Threads.Sum(thread => thread.Products);
            var (q, k) = (AttentionTests.Random([1, queries, 1, 16], 1), AttentionTests.Random([1, keys, 1, 16], 2));
            _ = Op.Attention(q, k, k, BlockMask.Causal(queries, keys));
            var isFew = queries <= 64 && keys >= 4 * queries;
            Assert.Equal(isFew, products == emulation.Threads.Sum(thread => thread.Products));
        }
    }

    private static void OnTiles(Action test)
    {
        using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
        test();
        Assert.True(emulation.Threads.Sum(thread => thread.Products) > 0);
        Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
    }
}
