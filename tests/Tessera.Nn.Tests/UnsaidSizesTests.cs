using FsCheck;
using FsCheck.Fluent;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;

namespace Tessera.Nn.Tests;

/// <summary>Sizes that follow from the width where nobody says them.</summary>
public sealed class UnsaidSizesTests
{
    [Theory]
    [InlineData(256, 688, 1024)] // Llama's rule: two thirds of four times the width, rounded up
    [InlineData(192, 512, 768)]
    [InlineData(8, 24, 32)]
    [InlineData(1, 8, 4)]
    [InlineData(4096, 10928, 16384)]
    [InlineData(65536, 174768, 262144)]
    public void A_hidden_layer_is_four_times_as_wide_and_with_a_gate_as_heavy(int width, int gated, int plain)
    {
        Assert.Equal(gated, new SwiGluOptions().HiddenAt(width));
        Assert.Equal(plain, new ReluOptions().HiddenAt(width));
        Assert.Equal(5, new ReluOptions(5).HiddenAt(width));
    }

    [Fact]
    public void A_gated_default_has_as_many_weights_as_a_plain_one_up_to_the_rounding() => Prop.ForAll(
        Gen.Choose(1, 65536).ToArbitrary(),
        width =>
        {
            var hidden = new SwiGluOptions().HiddenAt(width);
            Assert.Equal(0, hidden % 8);
            Assert.InRange((3.0 * hidden) - (2.0 * 4 * width), 0, 3 * 8 - 1e-9);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_experts_that_a_token_visits_are_together_about_one_dense_feed_forward() => Prop.ForAll(
        (from width in Gen.Choose(1, 4096) from active in Gen.Choose(1, 8) from shared in Gen.Choose(0, 3) select (width, active, shared))
            .ToArbitrary(),
        sizes =>
        {
            var (width, active, shared) = sizes;
            foreach (DenseOptions expert in new DenseOptions[] { new SwiGluOptions(), new GeluOptions() })
            {
                var hidden = new ExpertsOptions(8, active, expert, shared).At(width).Expert.Hidden!.Value;
                var dense = expert.HiddenAt(width);
                Assert.Equal(0, hidden % 8);
                Assert.InRange((active + shared) * hidden, dense, dense + (8 * (active + shared)) - 1);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_is_built_has_the_sizes_that_are_said_of_it()
    {
        var builder = PartCheck.Builder(24);
        Assert.Equal(new ReGluOptions(64).Build(builder).ParameterCount(), new ReGluOptions().Build(builder).ParameterCount());
        Assert.Equal(new TanhOptions(96).Build(builder).ParameterCount(), new TanhOptions().Build(builder).ParameterCount());
        Assert.Equal(
            new ExpertsOptions(8, 2, new SwiGluOptions(32)).Build(builder).ParameterCount(),
            new ExpertsOptions().Build(builder).ParameterCount());
    }

    [Fact]
    public void A_two_stage_router_comes_with_the_shared_expert_that_it_needs_unless_there_are_to_be_none()
    {
        var twoStage = new ExpertsOptions { Router = new TwoStageRouterOptions() };
        Assert.Equal((1, 0), (twoStage.SharedCount, new ExpertsOptions().SharedCount));
        Assert.Equal(
            (twoStage with { Shared = 1 }).Build(PartCheck.Builder(8)).Parameters().Select(own => $"{own.Name} {own.Parameter.Shape}"),
            twoStage.Build(PartCheck.Builder(8)).Parameters().Select(own => $"{own.Name} {own.Parameter.Shape}"));
        var error = Assert.Throws<RecipeException>(() => (twoStage with { Shared = 0 }).Build(PartCheck.Builder(8)));
        Assert.EndsWith("kind: is two-stage; allowed: a router for at least one shared expert", error.Message, StringComparison.Ordinal);
    }
}
