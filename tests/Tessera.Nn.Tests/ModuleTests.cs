using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Tests;

public sealed class ModuleTests
{
    [Fact]
    public void Parameters_are_named_by_the_way_to_them()
    {
        var options = new TransformerOptions
        {
            Layers = 1,
            Attention = new MultiHeadOptions(2) { Bias = true, KeyValueHeads = 1 },
            FeedForward = new SwiGluOptions(12),
        };
        var part = new Transformer(options, PartCheck.Builder(8), MixerRole.Causal);
        Assert.Equal(
            [
                "layers.0.input_norm.weight [8]",
                "layers.0.attention.q_proj.weight [8, 8]", "layers.0.attention.q_proj.bias [8]",
                "layers.0.attention.k_proj.weight [4, 8]", "layers.0.attention.k_proj.bias [4]",
                "layers.0.attention.v_proj.weight [4, 8]", "layers.0.attention.v_proj.bias [4]",
                "layers.0.attention.o_proj.weight [8, 8]", "layers.0.attention.o_proj.bias [8]",
                "layers.0.feed_forward_norm.weight [8]",
                "layers.0.feed_forward.gate_proj.weight [12, 8]", "layers.0.feed_forward.up_proj.weight [12, 8]",
                "layers.0.feed_forward.down_proj.weight [8, 12]",
                "norm.weight [8]",
            ],
            part.Parameters().Select(own => $"{own.Name} {own.Parameter.Value.Shape}"));
    }

    [Fact]
    public void Counts_and_operations_are_those_of_a_calculation_by_hand()
    {
        var options = new TransformerOptions
        {
            Layers = 3,
            Attention = new MultiHeadOptions(4) { KeyValueHeads = 2 },
            FeedForward = new GeluOptions(32),
        };
        var causal = new Transformer(options, PartCheck.Builder(16), MixerRole.Causal);
        const int Matrices = (2 * 16 * 16) + (2 * 8 * 16) + (2 * 16 * 32), Norms = 2 * 16;
        Assert.Equal((3 * (Matrices + Norms)) + 16, causal.ParameterCount());
        Assert.Equal(causal.ParameterCount(), causal.ActiveParameterCount());

        // A query of 9 tokens sees 5 keys on average; each costs 16 products and sums for its score and 16 for its value.
        Assert.Equal(3 * ((2 * Matrices) + (2 * 2 * 16 * 5)), causal.FlopsPerToken(9));
        var bidirectional = new Transformer(options, PartCheck.Builder(16), MixerRole.Bidirectional);
        Assert.Equal(3 * ((2 * Matrices) + (2 * 2 * 16 * 9)), bidirectional.FlopsPerToken(9));
    }

    [Fact]
    public void A_shared_parameter_is_counted_once_and_named_by_its_last_place()
    {
        var part = new Tied();
        Assert.Equal(["table.weight"], part.Parameters().Select(own => own.Name));
        Assert.Equal(40, part.ParameterCount());
        Assert.Equal(40, part.ActiveParameterCount());
        Assert.Equal(80, part.FlopsPerToken(1));
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights_and_another_others()
    {
        var (first, same, other) = (Weights(1), Weights(1), Weights(2));
        Assert.Equal(first, same);
        Assert.NotEqual(first, other);

        static float[] Weights(ulong seed) =>
            [.. new SwiGluOptions(5).Build(PartCheck.Builder(4, seed)).Parameters().SelectMany(own => own.Parameter.Value.ToArray())];
    }

    private sealed class Tied : Module
    {
        public Tied() => Own("head", Own("table", new Embedding(PartCheck.Builder(4), 10, 4)).Weight);
    }
}
