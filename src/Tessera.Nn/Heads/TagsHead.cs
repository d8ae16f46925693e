using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of <see cref="TagsHead"/>; <c>"kind": "tags"</c> in a recipe.</summary>
public sealed record TagsHeadOptions : LabelHeadOptions
{
    /// <inheritdoc/>
    public override Head Build(PartBuilder part, HeadSite site) => new TagsHead(this, part);
}

/// <summary>
/// A label for each token: logits [batch, length, labels], <c>W h + b</c>. Targets are I32 [batch, length], the numbers of labels.
/// <para>Devlin et al. 2018, <see href="https://arxiv.org/abs/1810.04805"/>, section 5.3.</para>
/// </summary>
public sealed class TagsHead : Head
{
    private readonly float _dropout;
    private readonly Linear _output;

    internal TagsHead(TagsHeadOptions options, PartBuilder part)
    {
        part = part.At("head");
        Labels = options.CheckedLabels(part);
        _dropout = options.Dropout;
        _output = Own("tagger", new Linear(part.At("tagger"), part.Width, Labels.Count, bias: true));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden, ForwardContext context) => _output.Forward(context.Dropout(hidden, _dropout), context);

    /// <inheritdoc/>
    public override Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default) =>
        CrossEntropy(Logits(hidden, context), targets, settings);
}
