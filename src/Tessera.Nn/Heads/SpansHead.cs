using Tessera.Tensors;

namespace Tessera.Nn.Heads;

/// <summary>Options of <see cref="SpansHead"/>; <c>"kind": "spans"</c> in a recipe.</summary>
public sealed record SpansHeadOptions : HeadOptions
{
    /// <inheritdoc/>
    public override Head Build(PartBuilder part, HeadSite site) => new SpansHead(part);
}

/// <summary>
/// Where in a sequence an answer begins and ends: logits [batch, length, 2], <c>W h + b</c>, of the start and of the end; those of padding
/// do not count. Targets are I32 [2, batch]: the places of starts, then those of ends. The loss is the mean of both cross-entropies.
/// <para>Devlin et al. 2018, <see href="https://arxiv.org/abs/1810.04805"/>, section 4.2.</para>
/// </summary>
public sealed class SpansHead : Head
{
    private const float Never = -1e9f;
    private readonly Linear _output;

    internal SpansHead(PartBuilder part)
    {
        part = part.At("head");
        _output = Own("spans", new Linear(part.At("spans"), part.Width, 2, bias: true));
    }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden, ForwardContext context) => _output.Forward(hidden, context);

    /// <inheritdoc/>
    /// <remarks>Labels are not smoothed: most places could not be right.</remarks>
    public override Tensor Loss(Tensor hidden, Tensor targets, ForwardContext context, CrossEntropySettings settings = default)
    {
        var (batch, length) = (hidden.Shape[0], hidden.Shape[1]);
        if (targets.Shape.Count != 2 * batch) throw new ShapeException($"spans: targets are {targets.Shape}; expected [2, {batch}]");
        var (logits, places) = (Logits(hidden, context), targets.Reshape([2, batch]));
        return Op.Scale(Op.Add(Side(0), Side(1)), 0.5f);

        Tensor Side(int side)
        {
            var scores = Op.Columns(logits, side, 1).Reshape([batch, length]);
            if (context.Lengths is { } lengths) scores = Op.FillBeyond(scores, lengths, Never);
            return CrossEntropy(scores, places.Slice(side, 1), settings with { Smoothing = 0 });
        }
    }
}
