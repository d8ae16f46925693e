using Tessera.Nn.Norms;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of <see cref="TokensHead"/>; <c>"kind": "tokens"</c> in a recipe. The model says whether it is tied to the embeddings,
/// and how logits are scaled and capped.</summary>
public sealed record TokensHeadOptions : HeadOptions
{
    /// <summary>What hidden states go through before, as in BERT's head of masked tokens; nothing where null.</summary>
    public TokensHeadTransform? Transform { get; init; }

    /// <summary>Whether each token has a bias.</summary>
    public bool Bias { get; init; }

    /// <inheritdoc/>
    public override Head Build(PartBuilder part, HeadSite site) => new TokensHead(this, part, site);
}

/// <summary><c>norm(activation(W h + b))</c>, before logits are taken.</summary>
public sealed record TokensHeadTransform
{
    /// <summary>The activation.</summary>
    public Activation Activation { get; init; } = Activation.Gelu;

    /// <summary>The norm after it.</summary>
    public NormOptions Norm { get; init; } = new LayerNormOptions();
}

/// <summary>
/// Logits of tokens, [batch, length, vocabulary]: <c>cap · tanh(scale · W h / cap)</c>, where W may be the table of embeddings. Targets are
/// I32 [batch, length], token ids.
/// <para>Press and Wolf 2017, <see href="https://arxiv.org/abs/1608.05859"/>; the transform: Devlin et al. 2018,
/// <see href="https://arxiv.org/abs/1810.04805"/>.</para>
/// </summary>
public sealed class TokensHead : Head
{
    private readonly float _scale;
    private readonly float _softCap;
    private readonly Weight _weight;
    private readonly Parameter? _bias;
    private readonly Linear? _dense;
    private readonly Activation _activation;
    private readonly Norm? _norm;

    internal TokensHead(TokensHeadOptions options, PartBuilder part, HeadSite site)
    {
        (_scale, _softCap) = (site.LogitScale, site.LogitSoftCap);
        var (own, width) = (part.At("lm_head"), site.IsTied ? site.Embedding.Inputs : part.Width);
        part.Require(
            width == part.Width || options.Transform is not null, "tieEmbeddings", "true",
            $"only where hidden states are as wide as embeddings, {width}, not {part.Width}, or head.transform maps them");
        // A tied weight begins with the form of the embedding's, so that both can be exchanged together or, as by adapters, each alone.
        _weight = Own("lm_head.weight", site.IsTied
            ? new Weight(site.Embedding.Form)
            : new Weight(own.Matrix("weight", site.Vocabulary, width, mayBeStored: true)));
        if (options.Bias) _bias = Own("lm_head.bias", PartBuilder.Constant(site.Vocabulary, 0));
        if (options.Transform is not { } transform) return;
        _activation = transform.Activation;
        _dense = Own("lm_head.dense", new Linear(own.At("dense"), part.Width, width, bias: true));
        _norm = Own("lm_head.norm", transform.Norm.Build(part.At("head").At("transform").At("norm") with { Width = width }));
    }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden, ForwardContext context)
    {
        using var read = Activations.Of(Read(hidden, context));
        var logits = _weight.Apply(read, _bias?.Value, context);
        return _softCap == 0 ? logits : Op.Scale(Op.Activate(Op.Scale(logits, 1 / _softCap), Activation.Tanh), _softCap);
    }

    /// <inheritdoc/>
    /// <remarks>The logits of a whole batch are held only where the weight is more than one tensor, as with an adapter on it.</remarks>
    public override Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default) =>
        _weight.AsTensor is { } weight
            ? Op.LinearCrossEntropy(Read(hidden, context), weight, targets, settings, _bias?.Value, _softCap)
            : CrossEntropy(Logits(hidden, context), targets, settings);

    private Tensor Read(Tensor hidden, ForwardContext context)
    {
        if (_dense is not null) hidden = _norm!.Forward(Op.Activate(_dense.Forward(hidden, context), _activation));
        return _scale == 1 ? hidden : Op.Scale(hidden, _scale);
    }
}
