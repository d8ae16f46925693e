using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of a router; <c>"router": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftmaxRouterOptions), "softmax")]
[JsonDerivedType(typeof(SigmoidRouterOptions), "sigmoid")]
[JsonDerivedType(typeof(TwoStageRouterOptions), "two-stage")]
public abstract record RouterOptions
{
    /// <summary>How many experts that every token visits there must be for this router.</summary>
    [JsonIgnore]
    public virtual int MinShared => 0;

    /// <summary>Builds the part.</summary>
    /// <param name="part">Width of the tokens, place in the recipe, random numbers.</param>
    /// <param name="shared">Experts that every token visits.</param>
    /// <param name="routed">Experts to choose from.</param>
    /// <param name="active">How many of them a token visits.</param>
    public abstract Router Build(PartBuilder part, int shared, int routed, int active);
}

/// <summary>Which experts each token visits, and how much each counts.</summary>
/// <param name="SharedGates">[tokens, shared], or null where shared experts count fully.</param>
/// <param name="Gates">[tokens, active]: how much each chosen expert counts.</param>
/// <param name="Scores">[tokens, routed]: what the experts were chosen by, without steering.</param>
/// <param name="Plan">Which experts were chosen.</param>
public readonly record struct Routing(Tensor? SharedGates, Tensor Gates, Tensor Scores, DispatchPlan Plan);

/// <summary>Decides which experts (or heads) a token visits.</summary>
public abstract class Router : Module
{
    /// <summary>Routes [tokens, width], which the experts read too; padding of the context goes nowhere.</summary>
    public abstract Routing Route(Activations x, ForwardContext context);

    /// <summary>Scores as a balance loss looks at them: rows that add up to 1, as they are unless said.</summary>
    /// <param name="scores">[tokens, routed], <see cref="Routing.Scores"/>.</param>
    public virtual Tensor Probabilities(Tensor scores) => scores;
}
