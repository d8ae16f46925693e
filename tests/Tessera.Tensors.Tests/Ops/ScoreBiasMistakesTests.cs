namespace Tessera.Tensors.Tests.Ops;

/// <summary>Score biases that cannot be, or not there.</summary>
public class ScoreBiasMistakesTests
{
    [Fact]
    public void What_does_not_fit_is_named()
    {
        using var scope = Arena.Current.Scope();
        var q = Tensor.Temporary([2, 5, 4, 8]);
        var mask = BlockMask.Causal(5, 5);
        Refused("the bias is for 3 heads, which does not fit queries, F32 [2, 5, 4, 8]", () => ScoreBias.Linear(Tensor.Temporary([3])));
        Refused("linear bias: slopes is F32 [1, 4], expected F32 [heads]", () => ScoreBias.Linear(Tensor.Temporary([1, 4])));
        Refused("the bias is for 2 heads", () => ScoreBias.Buckets(Tensor.Temporary([8, 2]), 20, true));
        Refused(
            "table is F32 [3, 4], expected F32 [buckets, heads] of at least 4 buckets",
            () => ScoreBias.Buckets(Tensor.Temporary([3, 4]), 20, true));
        Refused(
            "position keys is F32 [9, 4, 7], which does not fit position queries, F32 [2, 5, 4, 8]",
            () => ScoreBias.Relative(q, Tensor.Temporary([9, 4, 7])));
        Refused(
            "position queries is F32 [2, 6, 4, 8], which does not fit queries",
            () => ScoreBias.Relative(Tensor.Temporary([2, 6, 4, 8]), Tensor.Temporary([9, 4, 8])));
        Refused(
            "bias is F32 [4, 5, 6], expected [4, 5, 5], with or without 2 before it",
            () => ScoreBias.Dense(Tensor.Temporary([4, 5, 6])));
        var distance = Assert.Throws<ArgumentOutOfRangeException>(() => ScoreBias.Buckets(Tensor.Temporary([8, 4]), 4, false));
        Assert.Contains("must be above 4", distance.Message, StringComparison.Ordinal);

        void Refused(string message, Func<ScoreBias> bias)
        {
            var error = Assert.Throws<ShapeException>(() => Op.Attention(q, q, q, mask, new AttentionSettings { Bias = bias() }));
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_bias_whose_scope_has_ended_is_refused()
    {
        ScoreBias bias;
        var slopes = Tensor.Allocate([4]);
        using (Arena.Current.Scope()) bias = ScoreBias.Linear(slopes);
        using var scope = Arena.Current.Scope();
        var q = Tensor.Temporary([2, 5, 4, 8]);
        Assert.Throws<ObjectDisposedException>(() => Op.Attention(q, q, q, BlockMask.Causal(5, 5), new AttentionSettings { Bias = bias }));
    }
}
