using Tessera.Nn.Experts;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Nn.Tests;

public sealed class RouterTests
{
    [SharedFact("fixtures/parts/moh")]
    public void Two_stages_give_the_gates_of_the_reference()
    {
        const int Tokens = 26, Width = 48, Shared = 2, Routed = 6, Active = 3;
        using var scope = Arena.Current.Scope();
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/moh")!, "expected.safetensors"));
        var router = new TwoStageRouterOptions().Build(PartCheck.Builder(Width), Shared, Routed, Active);
        var parameters = router.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value);
        reference.Floats("wg_0").CopyTo(parameters["stage.weight"].Floats);
        reference.Floats("wg_1").CopyTo(parameters["shared.weight"].Floats);
        reference.Floats("wg").CopyTo(parameters["routed.weight"].Floats);

        var routing = router.Route(Activations.Of(Tensor.From(reference.Floats("x"), [Tokens, Width])), PartCheck.Step(2, 13));
        var found = new float[Tokens * (Shared + Routed)];
        for (var token = 0; token < Tokens; token++)
        {
            routing.SharedGates!.Floats.Slice(token * Shared, Shared).CopyTo(found.AsSpan(token * (Shared + Routed)));
            for (var place = 0; place < Active; place++)
                found[(token * (Shared + Routed)) + Shared + routing.Plan.Choices.Ints[(token * Active) + place]] = routing.Gates.Floats[
                    (token * Active) + place];
        }

        PartCheck.Compare("gates", reference.Floats("aside.gates"), found, 1.4e-5);
        var chosen = new int[Tokens * Routed];
        for (var slot = 0; slot < Tokens * Active; slot++) chosen[(slot / Active * Routed) + routing.Plan.Choices.Ints[slot]] = 1;
        Assert.Equal(reference.Ints("routed_mask"), chosen);

        // The reference's shares add up to the number of chosen experts, ours to 1.
        var probabilities = router.Probabilities(routing.Scores);
        Assert.Equal(reference.Floats("balance_loss")[0], Active * Op.BalanceLoss(probabilities, routing.Plan).Item(), 7e-6);
        for (var token = 0; token < Tokens; token++)
            Assert.Equal(1, probabilities.Floats.Slice(token * Routed, Routed).ToArray().Sum(), 1e-5);
    }

    [Fact]
    public void Even_scores_make_every_gate_of_two_stages_one()
    {
        using var scope = Arena.Current.Scope();
        var router = new TwoStageRouterOptions().Build(PartCheck.Builder(4), shared: 3, routed: 5, active: 2);
        var routing = router.Route(Activations.Of(Tensor.From(new float[8], [2, 4])), PartCheck.Step(1, 2));
        Assert.All(routing.SharedGates!.ToArray(), gate => Assert.Equal(1, gate, 1e-6));
        Assert.All(routing.Gates.ToArray(), gate => Assert.Equal(1, gate, 1e-6));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Softmax_gates_are_the_largest_probabilities(bool normalise)
    {
        using var scope = Arena.Current.Scope();
        const int Tokens = 7, Width = 4, Routed = 5, Active = 2;
        var router = new SoftmaxRouterOptions(normalise).Build(PartCheck.Builder(Width), 0, Routed, Active);
        var x = PartCheck.Normal(Tokens * Width, 1);
        var routing = router.Route(Activations.Of(Tensor.From(x, [Tokens, Width])), PartCheck.Step(1, Tokens));
        var scores = ExactMath.Linear([.. x.Select(value => (double)value)], PartCheck.Exact(router)["gate.weight"], null, Width);
        Assert.Null(routing.SharedGates);
        for (var token = 0; token < Tokens; token++)
        {
            var probabilities = ExactMath.Softmax(scores[(token * Routed)..((token + 1) * Routed)]);
            var best = Enumerable.Range(0, Routed).OrderByDescending(i => probabilities[i]).Take(Active).ToArray();
            Assert.Equal(best, routing.Plan.Choices.Ints.Slice(token * Active, Active).ToArray());
            var sum = normalise ? best.Sum(i => probabilities[i]) : 1;
            for (var place = 0; place < Active; place++)
                Assert.Equal(probabilities[best[place]] / sum, routing.Gates.Floats[(token * Active) + place], 1e-5);
        }
    }

    [Fact]
    public void Two_stages_need_a_shared_expert()
    {
        var error = Assert.Throws<RecipeException>(() => new TwoStageRouterOptions().Build(PartCheck.Builder(4), 0, 4, 2));
        Assert.Equal("model.kind: is two-stage; allowed: a router for at least one shared expert", error.Message);
    }
}
