using Tessera.Nn.Blocks;
using Tessera.Tensors;

namespace Tessera.Nn.Recurrence;

/// <summary>A stack of recurrent layers, read forward or both ways, with or without residual connections.</summary>
public abstract record RecurrenceOptions : EncoderOptions
{
    /// <summary>How many layers; at least 1.</summary>
    public int Layers { get; init; } = 1;

    /// <summary>Hidden units of a direction, 1 to 1,048,576; as the width where null, half of it where both are read.</summary>
    public int? Hidden { get; init; }

    /// <summary>Whether each layer also reads from the end; its outputs are then twice as wide.</summary>
    public bool Bidirectional { get; init; }

    /// <summary>Whether each layer's input is added to its output, through a linear map where the widths differ.</summary>
    public bool Residual { get; init; }

    /// <inheritdoc/>
    public override Encoder Build(PartBuilder part) => new Recurrence(this, part);

    /// <summary>Hidden units of a direction in hidden states of a width.</summary>
    public int HiddenIn(int width) => Hidden ?? (Bidirectional ? Math.Max(1, width / 2) : width);

    /// <summary>The cell.</summary>
    internal abstract RecurrentCell Cell { get; }
}

/// <summary>Long short-term memory; <c>"kind": "lstm"</c> in a recipe
/// (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735).</summary>
public sealed record LstmOptions : RecurrenceOptions
{
    internal override RecurrentCell Cell => RecurrentCell.Lstm;
}

/// <summary>Gated recurrent units; <c>"kind": "gru"</c> in a recipe (Cho et al. 2014, arXiv 1406.1078).</summary>
public sealed record GruOptions : RecurrenceOptions
{
    internal override RecurrentCell Cell => RecurrentCell.Gru;
}

/// <summary>
/// Recurrent layers over a sequence, O(length) and sequential in it. Parameters are named as PyTorch names them
/// (<c>weight_ih_l0</c>, <c>weight_hh_l0_reverse</c> …).
/// <para>Bidirectional: Schuster and Paliwal 1997, doi:10.1109/78.650093. Residual: Wu et al. 2016,
/// <see href="https://arxiv.org/abs/1609.08144"/>, section 3.1.</para>
/// </summary>
public sealed class Recurrence : Encoder
{
    private readonly RecurrenceOptions _options;
    private readonly int _hidden;
    private readonly List<(RecurrentWeightSet Forward, RecurrentWeightSet? Backward, Linear? Residual)> _layers = [];

    internal Recurrence(RecurrenceOptions options, PartBuilder part)
    {
        part.Require(options.Layers is >= 1 and <= 64, "layers", options.Layers, "1 to 64");
        (_options, _hidden) = (options, options.HiddenIn(part.Width));
        part.Require(_hidden is >= 1 and <= 1 << 20, "hidden", _hidden, $"1 to {1 << 20}");
        OutputWidth = checked(_hidden * (options.Bidirectional ? 2 : 1));
        for (var layer = 0; layer < options.Layers; layer++)
        {
            var inputs = layer == 0 ? part.Width : OutputWidth;
            var forward = Weights(part, inputs, $"l{layer}");
            var backward = options.Bidirectional ? Weights(part, inputs, $"l{layer}_reverse") : null;
            var residual = options.Residual && inputs != OutputWidth
                ? Own($"residual_l{layer}", new Linear(part.At($"residual_l{layer}"), inputs, OutputWidth))
                : null;
            _layers.Add((forward, backward, residual));
        }
    }

    /// <inheritdoc/>
    public override int OutputWidth { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        for (var layer = 0; layer < _layers.Count; layer++)
        {
            var (forward, backward, residual) = _layers[layer];
            var y = _options.Cell.Run(x, forward, backward, context.Lengths).Outputs;
            x = _options.Residual ? Op.Add(y, residual?.Forward(x, context) ?? x) : y;
        }

        return x;
    }

    private RecurrentWeightSet Weights(PartBuilder part, int inputs, string suffix) =>
        RecurrentWeightSet.Of(part, _options.Cell, inputs, _hidden, suffix, Own);
}
