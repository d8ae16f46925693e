using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of <see cref="ClassesHead"/>; <c>"kind": "classes"</c> in a recipe.</summary>
public sealed record ClassesHeadOptions : LabelHeadOptions
{
    /// <summary>Which vector stands for the sequence; the last of a causal model, else the first, where null.</summary>
    public Pooling? Pooling { get; init; }

    /// <summary>Whether that vector first becomes <c>tanh(W h + b)</c>, of the same width.</summary>
    public bool Dense { get; init; }

    /// <inheritdoc/>
    public override Head Build(PartBuilder part, HeadSite site) => new ClassesHead(this, part, site);
}

/// <summary>
/// A label for each sequence: logits [batch, labels] of one vector, <c>W h + b</c>. Targets are I32 [batch], the numbers of labels.
/// <para>Devlin et al. 2018, <see href="https://arxiv.org/abs/1810.04805"/>, section 4.1.</para>
/// </summary>
public sealed class ClassesHead : Head
{
    private readonly Pooling _pooling;
    private readonly float _dropout;
    private readonly Linear? _dense;
    private readonly Linear _output;

    internal ClassesHead(ClassesHeadOptions options, PartBuilder part, HeadSite site)
    {
        part = part.At("head");
        (_pooling, _dropout) = (options.Pooling ?? (site.IsCausal ? Pooling.Last : Pooling.First), options.Dropout);
        var labels = options.CheckedLabels(part);
        if (options.Dense) _dense = Own("classifier.dense", new Linear(part.At("dense"), part.Width, part.Width, bias: true));
        _output = Own("classifier.out_proj", new Linear(part.At("out_proj"), part.Width, labels.Count, bias: true));
        Labels = labels;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden, ForwardContext context)
    {
        var pooled = context.Dropout(Pool(hidden, _pooling, context), _dropout);
        if (_dense is not null) pooled = context.Dropout(Op.Activate(_dense.Forward(pooled, context), Activation.Tanh), _dropout);
        return _output.Forward(pooled, context);
    }

    /// <inheritdoc/>
    public override Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default) =>
        CrossEntropy(Logits(hidden, context), targets, settings);
}
