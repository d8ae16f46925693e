using FsCheck;
using FsCheck.Fluent;
using Tessera.Evaluation.Metrics;
using Tessera.Nn.Experts;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class SmallMeasureTests
{
    [Fact]
    public void A_model_that_guesses_evenly_is_as_perplexed_as_its_vocabulary_is_large()
    {
        var measure = new Perplexity(Nats: 5 * Math.Log(256), Tokens: 5, Bytes: 10);
        Assert.Equal(256, measure.Value, 1e-10);
        Assert.Equal(8, measure.BitsPerToken, 1e-12);
        Assert.Equal(4, measure.BitsPerByte, 1e-12);
    }

    [Fact]
    public void Perplexities_of_shards_add_up_to_that_of_the_whole()
    {
        double[] losses = [0.5, 1.25, 2, 3.5, 0.25];
        var whole = new Perplexity(losses.Sum(), losses.Length, 21);
        var shards = new Perplexity(losses[..2].Sum(), 2, 9) + new Perplexity(losses[2..].Sum(), 3, 12);
        Assert.Equal(whole, shards);
        Assert.Equal(whole, default(Perplexity) + whole);
        Assert.True(double.IsNaN((whole + new Perplexity(1, 1)).BitsPerByte));
        Assert.True(double.IsNaN(default(Perplexity).Value));
    }

    [Theory]
    [InlineData(new double[] { 5 }, 1)]
    [InlineData(new double[] { 3, 3, 3, 3 }, 1)]
    [InlineData(new double[] { 1, 0, 0, 0 }, 0.25)]
    [InlineData(new double[] { 2, 2, 0, 0, 0 }, 0.4)]
    [InlineData(new double[] { 1, 2, 3 }, 36 / (3 * 14.0))]
    [InlineData(new double[] { 0, 0 }, 1)]
    [InlineData(new[] { 1e300, 1e300 }, 1)]
    [InlineData(new[] { 1e-300, 0 }, 0.5)]
    public void Jains_index_is_what_its_formula_says(double[] loads, double index) => Assert.Equal(index, JainIndex.Of(loads), 1e-12);

    [Fact]
    public void Jains_index_ignores_unit_and_order_and_stays_between_one_over_n_and_one() =>
        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(
            ArbMap.Default.ArbFor<NonEmptyArray<PositiveInt>>(), loads =>
            {
                double[] values = [.. loads.Get.Select(load => (double)load.Get)];
                var index = JainIndex.Of(values);
                var same = JainIndex.Of([.. values.Reverse().Select(value => value * 0.125)]);
                return Math.Abs(index - same) < 1e-12 && index <= 1 + 1e-12 && index >= 1.0 / values.Length - 1e-12;
            }));

    [Fact]
    public void Jains_index_refuses_loads_that_are_none()
    {
        Assert.Throws<ArgumentException>(() => JainIndex.Of([]));
        Assert.Contains("Load 1 is -2", Assert.Throws<ArgumentException>(() => JainIndex.Of([1, -2])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => JainIndex.Of([double.NaN]));
    }

    [Fact]
    public void Validity_counts_the_outputs_that_parse_and_says_what_is_wrong_with_the_others()
    {
        var validity = Validity.Measure(["int x;", "int x", "", "public void F();"], new SemicolonValidator());
        Assert.Equal((2, 4, 0.5), (validity.Valid, validity.Total, validity.Share));
        Assert.Equal("1:6: ; expected", validity.Errors[1]);
        Assert.Throws<ArgumentException>(() => Validity.Measure([], new SemicolonValidator()));
    }
}
