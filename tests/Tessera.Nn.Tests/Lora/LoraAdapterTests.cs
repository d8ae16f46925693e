using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Lora;
using Tessera.Nn.Weights;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Tests.Lora;

public sealed class LoraAdapterTests
{
    private const int Inputs = 6, Outputs = 5, Rank = 2;

    [Theory]
    [InlineData(false, 1.5)]
    [InlineData(true, 2.1213203435596424)]
    public void An_adapter_adds_its_equation_and_has_its_gradients(bool rankStabilized, double scale)
    {
        var map = PartCheck.Shaken(new Linear(PartCheck.Builder(Inputs), Inputs, Outputs, bias: true));
        var adapters = LoraAdapters.Attach(new Holder(map), Options() with { RankStabilized = rankStabilized }, new CounterRandom(4));
        PartCheck.Normal(Outputs * Rank, 8).CopyTo(adapters.All.Single().Adapter.Up.Value.Floats);
        var (weight, bias) = (PartCheck.Exact(map)["weight"], PartCheck.Exact(map)["bias"]);
        PartCheck.Run(
            adapters, inputs => map.Forward(inputs["x"], PartCheck.Step(3, 1)),
            exact => [.. Enumerable.Range(0, 3 * Outputs).Select(i =>
                        {
                            var (row, output) = (i / Outputs, i % Outputs);
                            var sum = bias[output];
                            for (var input = 0; input < Inputs; input++)
                            {
                                var adapted = Enumerable
                                    .Range(0, Rank)
                                    .Sum(rank =>
                                        exact["map.lora_B.weight"][(output * Rank) + rank]
                                        * exact["map.lora_A.weight"][(rank * Inputs) + input]
                                    );
                                sum += (weight[(output * Inputs) + input] + (scale * adapted)) * exact["x"][(row * Inputs) + input];
                            }

                return sum;
            })],
            5e-6, null, ("x", [3, Inputs]));
    }

    [Fact]
    public void A_new_adapter_changes_nothing_and_a_merged_one_stays()
    {
        using var scope = Arena.Current.Scope();
        var map = new Linear(PartCheck.Builder(Inputs), Inputs, Outputs);
        var (x, step) = (Tensor.From(PartCheck.Normal(4 * Inputs, 3), [4, Inputs]), PartCheck.Step(4, 1));
        var plain = map.Forward(x, step).ToArray();
        var adapters = LoraAdapters.Attach(new Holder(map), Options(), new CounterRandom(4));
        Assert.Equal(plain, map.Forward(x, step).ToArray());
        PartCheck.Normal(Outputs * Rank, 8).CopyTo(adapters.All.Single().Adapter.Up.Value.Floats);
        var adapted = map.Forward(x, step).ToArray();
        Assert.True(plain.Zip(adapted, (before, after) => Math.Abs(before - after)).Max() > 0.1);
        adapters.Merge();
        Assert.IsType<StoredForm>(map.Weight.Form);
        PartCheck.Compare("merged", adapted, map.Forward(x, step).ToArray(), 1e-6);
    }

    [Fact]
    public void Dropout_drops_inputs_of_the_adapter_alone_and_only_while_training()
    {
        using var scope = Arena.Current.Scope();
        var map = new Linear(PartCheck.Builder(Inputs), Inputs, Outputs);
        var adapters = LoraAdapters.Attach(new Holder(map), Options() with { Dropout = 0.5f }, new CounterRandom(4));
        var x = Tensor.From(PartCheck.Normal(4 * Inputs, 3), [4, Inputs]);
        var training = PartCheck.Step(4, 1);
        (training.IsTraining, training.Random) = (true, new CounterRandom(9));
        var plain = map.Forward(x, PartCheck.Step(4, 1)).ToArray();
        Assert.Equal(plain, map.Forward(x, training).ToArray()); // B is 0
        PartCheck.Normal(Outputs * Rank, 8).CopyTo(adapters.All.Single().Adapter.Up.Value.Floats);
        var whole = map.Forward(x, PartCheck.Step(4, 1)).ToArray();
        var dropped = map.Forward(x, training).ToArray();
        Assert.NotEqual(whole, dropped);
        Assert.NotEqual(dropped, map.Forward(x, training).ToArray());
        Assert.Equal(whole, map.Forward(x, PartCheck.Step(4, 1)).ToArray());
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.Q8_0)]
    public void A_stack_kept_in_fewer_bits_learns_through_its_adapters(ElementType type)
    {
        const int Width = 32;
        var stack = new Transformer(
            new TransformerOptions
            {
                Layers = 2,
                Attention = new MultiHeadOptions(2),
                FeedForward = new SwiGluOptions(64),
            },
            PartCheck.Builder(Width),
            MixerRole.Causal);
        var stored = new Dictionary<string, byte[]>();
        foreach (var (name, parameter) in stack.Parameters().Where(own => own.Parameter.MayBeStored))
        {
            var tensor = Tensor.Allocate(parameter.Shape, type);
            Op.Convert(parameter.Value, tensor);
            parameter.ReadFrom(() => tensor, type, isFixed: true);
            stored[name] = tensor.Bytes.ToArray();
        }

        Assert.Equal(14, stored.Count);
        var adapters = LoraAdapters.Attach(
            stack,
            Options() with
            {
                Targets = ["*.attention.*", "*.feed_forward.*"],
                Rank = 4,
            },
            new CounterRandom(4));
        foreach (var (_, parameter) in stack.Parameters()) parameter.IsFrozen = true;
        var (goal, losses) = (PartCheck.Normal(2 * 5 * Width, 11), new List<double>());
        for (var pass = 0; pass < 30; pass++)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var y = stack.Forward(Tensor.From(PartCheck.Normal(2 * 5 * Width, 10), [2, 5, Width]), PartCheck.Step(2, 5));
            float[] difference = [.. y.ToArray().Zip(goal, (found, wanted) => found - wanted)];
            losses.Add(difference.Sum(value => value * (double)value));
            foreach (var (_, parameter) in adapters.Parameters()) parameter.Value.ClearGradient();
            tape.Backward(y, difference);
            foreach (var (_, parameter) in adapters.Parameters())
                for (var i = 0; i < parameter.Value.Floats.Length; i++) parameter.Value.Floats[i] -= 0.003f * parameter.Value.Gradient[i];
        }

        Assert.True(losses[^1] < 0.8 * losses[0], $"from {losses[0]} to {losses[^1]}");
        foreach (var (name, parameter) in stack.Parameters().Where(own => stored.ContainsKey(own.Name)))
            Assert.True(parameter.Value.Bytes.SequenceEqual(stored[name]), name);
        Assert.Contains(
            "only F32 can be added to", Assert.Throws<InvalidOperationException>(adapters.Merge).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rank", "lora.rank: is 0; allowed: 1 to 65536")]
    [InlineData("dropout", "lora.dropout: is 1; allowed: at least 0, below 1")]
    [InlineData("targets", "lora.targets: is empty; allowed: at least one pattern, such as *.q_proj")]
    public void Bad_options_are_told_with_their_place(string key, string message)
    {
        var options = key switch
        {
            "rank" => Options() with { Rank = 0 },
            "dropout" => Options() with { Dropout = 1 },
            _ => Options() with { Targets = [] },
        };
        Assert.Equal(
            message,
            Assert
                .Throws<RecipeException>(() => LoraAdapters.Attach(new Holder(new Linear(PartCheck.Builder(2), 2, 2)), options, default))
                .Message);
    }

    private static LoraOptions Options() => new() { Rank = Rank, Alpha = 3, Targets = ["*"] };

    private sealed class Holder : Module
    {
        public Holder(Linear map) => Own("map", map);
    }
}
