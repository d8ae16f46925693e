using System.Text.Json.Serialization;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of what a model says at the end; <c>"head": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(TokensHeadOptions), "tokens")]
[JsonDerivedType(typeof(ClassesHeadOptions), "classes")]
[JsonDerivedType(typeof(TagsHeadOptions), "tags")]
[JsonDerivedType(typeof(SpansHeadOptions), "spans")]
[JsonDerivedType(typeof(ValueHeadOptions), "value")]
public abstract record HeadOptions
{
    /// <summary>Builds the part.</summary>
    /// <param name="part">That of the whole model; its width is that of the hidden states.</param>
    /// <param name="site">The model around it.</param>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    public abstract Head Build(PartBuilder part, HeadSite site);
}

/// <summary>What a head has to know of the model that it belongs to.</summary>
/// <param name="Vocabulary">How many tokens there are.</param>
/// <param name="Embedding">[vocabulary, width]: the table that a head may be tied to.</param>
/// <param name="IsCausal">Whether places see only those before them, so that the last one has seen all.</param>
public sealed record HeadSite(int Vocabulary, Weight Embedding, bool IsCausal)
{
    /// <summary>Whether the table of embeddings also maps to the logits of tokens.</summary>
    public bool IsTied { get; init; }

    /// <summary>What the logits of tokens are multiplied by; greater than 0.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>Where above 0, a logit l of a token becomes <c>cap · tanh(l / cap)</c>.</summary>
    public float LogitSoftCap { get; init; }
}

/// <summary>What a model says at the end: logits of something from hidden states, and how they are learned.</summary>
public abstract class Head : Module
{
    /// <summary>The names of what it tells apart; empty where nothing has a name.</summary>
    public virtual IReadOnlyList<string> Labels => [];

    /// <summary>The logits; each head says of what.</summary>
    /// <param name="hidden">[batch, length, width].</param>
    /// <param name="context">Its <see cref="ForwardContext.Lengths"/> say which places are padding.</param>
    public abstract Tensor Logits(Tensor hidden, ForwardContext context);

    /// <summary>How far the logits are from targets, a mean over those that count: the cross-entropy in nats unless said.</summary>
    /// <param name="hidden">[batch, length, width].</param>
    /// <param name="targets">Each head says which; I32 below 0 do not count.</param>
    /// <param name="context">As for <see cref="Logits"/>.</param>
    /// <param name="settings">Label smoothing and z loss.</param>
    /// <returns>A scalar; 0 where no target counts.</returns>
    public abstract Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default);

    /// <summary>The cross-entropy of logits whose last axis are the classes.</summary>
    private protected static Tensor CrossEntropy(Tensor logits, Tensor targets, CrossEntropySettings settings) =>
        Op.CrossEntropy(logits.Reshape([logits.Shape.Rows, logits.Shape.Width]), targets.Reshape([logits.Shape.Rows]), settings);

    /// <summary>One vector for each sequence.</summary>
    private protected static Tensor Pool(Tensor hidden, Pooling pooling, ForwardContext context) => context.Segments is null
        ? Op.Pool(hidden, pooling, context.Lengths)
        : throw new ArgumentException("packed rows hold several sequences, which cannot be pooled; pad rows instead", nameof(context));
}
