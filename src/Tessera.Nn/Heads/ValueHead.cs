using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of <see cref="ValueHead"/>; <c>"kind": "value"</c> in a recipe.</summary>
public sealed record ValueHeadOptions : HeadOptions
{
    /// <summary>Whether each token has a number, rather than each sequence.</summary>
    public bool PerToken { get; init; }

    /// <summary>Which vector stands for the sequence; the last of a causal model, else the first, where null.</summary>
    public Pooling? Pooling { get; init; }

    /// <inheritdoc/>
    public override Head Build(PartBuilder part, HeadSite site) => new ValueHead(this, part, site);
}

/// <summary>
/// A number for each sequence, [batch], or for each token, [batch, length]: <c>w · h + b</c>, as regression and reward models have it.
/// Targets are F32 of the same shape; NaN does not count. The loss is the mean squared error.
/// <para>Ouyang et al. 2022, <see href="https://arxiv.org/abs/2203.02155"/>, section 3.5.</para>
/// </summary>
public sealed class ValueHead : Head
{
    private readonly Pooling _pooling;
    private readonly Linear _output;

    internal ValueHead(ValueHeadOptions options, PartBuilder part, HeadSite site)
    {
        part = part.At("head");
        part.Require(!options.PerToken || options.Pooling is null, "pooling", options.Pooling, "nothing, where perToken is true");
        (IsPerToken, _pooling) = (options.PerToken, options.Pooling ?? (site.IsCausal ? Pooling.Last : Pooling.First));
        _output = Own("value", new Linear(part.At("value"), part.Width, 1, bias: true));
    }

    /// <summary>Whether each token has a number.</summary>
    public bool IsPerToken { get; }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden, ForwardContext context)
    {
        var values = _output.Forward(IsPerToken ? hidden : Pool(hidden, _pooling, context), context);
        return IsPerToken ? values.Reshape([hidden.Shape[0], hidden.Shape[1]]) : values.Reshape([hidden.Shape[0]]);
    }

    /// <inheritdoc/>
    public override Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default) =>
        Op.SquaredError(Logits(hidden, context), targets);
}
