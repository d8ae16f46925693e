using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Nn.Tests;

/// <summary>DeepSeek's routers: a limit to groups of experts, sigmoid gates and a bias that evens loads out.</summary>
public sealed class GroupedRouterTests
{
    private const int Width = 6;
    private const int Tokens = 40;
    private const int Routed = 8;

    [SharedFact("fixtures/parts/routing_deepseek_v3")]
    public void The_sigmoid_router_chooses_and_weighs_as_the_reference()
    {
        const int References = 30, Top = 3;
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/routing_deepseek_v3")!, "expected.safetensors"));
        var options = new SigmoidRouterOptions { Scale = 2.5f, Groups = 4, ActiveGroups = 2 };
        var router = options.Build(PartCheck.Builder(Routed), 0, Routed, Top);
        var parameters = router.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value);
        for (var i = 0; i < Routed * Routed; i++)
            parameters["gate.weight"].Floats[i] = i % (Routed + 1) == 0 ? 1 : 0; // the inputs are the logits
        reference.Floats("bias").CopyTo(parameters["gate.e_score_correction_bias"].Floats);

        var logits = Tensor.From(reference.Floats("logits"), [References, Routed]).WithGradient();
        var routing = router.Route(Activations.Of(logits), PartCheck.Step(1, References));
        Assert.Equal(reference.Ints("experts"), routing.Plan.Choices.Ints.ToArray());
        var (weights, upstream) = (new float[References * Routed], new float[References * Top]);
        for (var slot = 0; slot < References * Top; slot++)
        {
            var at = (slot / Top * Routed) + routing.Plan.Choices.Ints[slot];
            (weights[at], upstream[slot]) = (routing.Gates.Floats[slot], reference.Floats("d.weights")[at]);
        }

        PartCheck.Compare("weights", reference.Floats("weights"), weights, 3.7e-6);
        tape.Backward(routing.Gates, upstream);
        PartCheck.Compare("gradient", reference.Floats("grad.logits"), logits.Gradient.ToArray(), 1.7e-6);
    }

    [Theory]
    [InlineData(4, 2, true)]
    [InlineData(2, 1, false)]
    [InlineData(1, 1, false)]
    public void The_softmax_router_takes_the_groups_with_the_best_experts(int groups, int activeGroups, bool normalise)
    {
        const int Active = 3;
        using var scope = Arena.Current.Scope();
        var options = new SoftmaxRouterOptions(normalise) { Scale = 1.5f, Groups = groups, ActiveGroups = activeGroups };
        var router = options.Build(PartCheck.Builder(Width), 0, Routed, Active);
        var x = PartCheck.Normal(Tokens * Width, 1, scale: 2);
        var routing = router.Route(Activations.Of(Tensor.From(x, [Tokens, Width])), PartCheck.Step(1, Tokens));
        var scores = ExactMath.Linear([.. x.Select(value => (double)value)], PartCheck.Exact(router)["gate.weight"], null, Width);
        var size = Routed / groups;
        var isLimited = false;
        for (var token = 0; token < Tokens; token++)
        {
            var probabilities = ExactMath.Softmax(scores[(token * Routed)..((token + 1) * Routed)]);
            var allowed = Enumerable
                .Range(0, groups)
                .OrderByDescending(group => probabilities[(group * size)..((group + 1) * size)].Max())
                .Take(activeGroups)
                .ToArray();
            var best = Enumerable
                .Range(0, Routed)
                .Where(i => allowed.Contains(i / size))
                .OrderByDescending(i => probabilities[i])
                .Take(Active)
                .ToArray();
            isLimited |= !best.SequenceEqual(Enumerable.Range(0, Routed).OrderByDescending(i => probabilities[i]).Take(Active));
            Assert.Equal(best, routing.Plan.Choices.Ints.Slice(token * Active, Active).ToArray());
            var sum = normalise ? best.Sum(i => probabilities[i]) : 1;
            for (var place = 0; place < Active; place++)
                Assert.Equal(1.5 * probabilities[best[place]] / sum, routing.Gates.Floats[(token * Active) + place], 1e-5);
        }

        Assert.Equal(groups > 1, isLimited); // else the test would show nothing
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_mixture_with_sigmoid_gates_has_the_gradients_of_its_equation(bool normalise)
    {
        const int Hidden = 5, Active = 2;
        var options = new ExpertsOptions(4, Active, new ReluOptions(Hidden))
        {
            Router = new SigmoidRouterOptions(normalise)
            {
                Scale = 1.7f,
                Groups = 2,
                ActiveGroups = 2,
            },
        };
        var part = options.Build(PartCheck.Builder(Width));
        var bias = part.Parameters().Single(own => !own.Parameter.IsTrained);
        Assert.Equal("router.gate.e_score_correction_bias", bias.Name);
        PartCheck.Normal(4, 5, 0.2).CopyTo(bias.Parameter.Value.Floats);
        PartCheck.Run(part, inputs => part.Forward(inputs["x"], PartCheck.Step(1, 7)), Equation, 5e-6, null, ("x", [1, 7, Width]));

        double[] Equation(Dictionary<string, double[]> exact)
        {
            var y = new List<double>();
            foreach (var x in exact["x"].Chunk(Width))
            {
                double[] scores =
                [
                    .. ExactMath.Linear(x, exact["router.gate.weight"], null, Width).Select(logit => 1 / (1 + Math.Exp(-logit)))];
                int[] chosen = [.. Enumerable.Range(0, 4).OrderByDescending(i => scores[i] + exact[bias.Name][i]).Take(Active)];
                var token = new double[Width];
                foreach (var i in chosen)
                {
                    var gate = 1.7f * scores[i] / (normalise ? chosen.Sum(other => scores[other]) : 1);
                    double[] hidden = [.. ExactMath.Linear(x, Expert("up_proj", i), null, Width).Select(ExactMath.Relu)];
                    token = ExactMath.Add(
                        token, [.. ExactMath.Linear(hidden, Expert("down_proj", i), null, Hidden).Select(value => gate * value)]);
                }

                y.AddRange(token);
            }

            return [.. y];

            double[] Expert(string map, int i) => exact[$"experts.{map}"][(i * Hidden * Width)..((i + 1) * Hidden * Width)];
        }
    }

    [Fact]
    public void The_bias_falls_for_experts_with_more_tokens_than_the_mean_and_rises_for_those_with_fewer()
    {
        using var scope = Arena.Current.Scope();
        var router = new SigmoidRouterOptions { BiasRate = 0.25f }.Build(PartCheck.Builder(1), 0, routed: 3, active: 1);
        var parameters = router.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value);
        float[] gate = [1, -1, -2];
        gate.CopyTo(parameters["gate.weight"].Floats);
        var bias = parameters["gate.e_score_correction_bias"];

        // Positive inputs choose expert 0, negative ones expert 2. The last token is padding.
        var step = new ForwardContext
        {
            Positions = PartCheck.Positions(1, 4),
            Segments = PartCheck.Ints([1, 4], 0, 0, 0, -1),
            IsTraining = true,
        };
        router.Route(Activations.Of(Tensor.From([1f, 2f, -1f, -1f], [4, 1])), step);
        router.AfterUpdate();
        Assert.Equal([-0.25f, 0.25f, 0f], bias.ToArray()); // loads 2, 0, 1

        router.AfterUpdate();
        Assert.Equal([-0.25f, 0.25f, 0f], bias.ToArray()); // no tokens, nothing to even out

        step.IsTraining = false;
        router.Route(Activations.Of(Tensor.From([1f, 2f, -1f, -1f], [4, 1])), step);
        router.AfterUpdate();
        Assert.Equal([-0.25f, 0.25f, 0f], bias.ToArray()); // nothing is learned from what is only judged
    }

    [Fact]
    public void Loads_of_skewed_tokens_even_out()
    {
        const int Active = 2;
        using var scope = Arena.Current.Scope();
        var router = new SigmoidRouterOptions { BiasRate = 0.02f }.Build(PartCheck.Builder(Width), 0, Routed, Active);
        var x = PartCheck.Normal(Tokens * 8 * Width, 2, offset: 1); // a mean that favours some experts
        Assert.InRange(Jain(), 0, 0.8);
        for (var update = 0; update < 100; update++)
        {
            using var inner = Arena.Current.Scope();
            var step = new ForwardContext { Positions = PartCheck.Positions(8, Tokens), IsTraining = true };
            router.Route(Activations.Of(Tensor.From(x, [8 * Tokens, Width])), step);
            router.AfterUpdate();
        }

        Assert.InRange(Jain(), 0.97, 1);

        double Jain()
        {
            var plan = router.Route(Activations.Of(Tensor.From(x, [8 * Tokens, Width])), PartCheck.Step(8, Tokens)).Plan;
            double[] loads = [.. Enumerable.Range(0, Routed).Select(i => (double)plan.Share(i))];
            return Math.Pow(loads.Sum(), 2) / (Routed * loads.Sum(load => load * load));
        }
    }

    [Fact]
    public void Groups_that_cannot_be_are_named()
    {
        Expect("model.groups: is 3; allowed: a divisor of the routed experts, 8", 3, 1);
        Expect("model.groups: is 0; allowed: a divisor of the routed experts, 8", 0, 1);
        Expect("model.activeGroups: is 5; allowed: 1 to groups, 4", 4, 5);
        Expect("model.activeGroups: is 1; allowed: so many that their experts, 2 each, are at least the 3 active ones", 4, 1);

        static void Expect(string message, int groups, int activeGroups)
        {
            foreach (var options in (RouterOptions[])
                     [
                         new SoftmaxRouterOptions { Groups = groups, ActiveGroups = activeGroups },
                         new SigmoidRouterOptions { Groups = groups, ActiveGroups = activeGroups },
                     ])
            {
                Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width), 0, Routed, 3)).Message);
            }
        }
    }
}
