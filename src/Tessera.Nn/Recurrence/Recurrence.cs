using Tessera.Nn.Blocks;
using Tessera.Tensors;

namespace Tessera.Nn.Recurrence;

/// <summary>A stack of recurrent layers, read forward or both ways, with or without residual connections.</summary>
public abstract record RecurrenceOptions : EncoderOptions
{
    /// <summary>How many layers; at least 1.</summary>
    public int Layers { get; init; } = 1;

    /// <summary>Hidden units of a direction; 1 to 1,048,576.</summary>
    public required int Hidden { get; init; }

    /// <summary>Whether each layer also reads from the end; its outputs are then twice as wide.</summary>
    public bool Bidirectional { get; init; }

    /// <summary>Whether each layer's input is added to its output, through a linear map where the widths differ.</summary>
    public bool Residual { get; init; }

    /// <inheritdoc/>
    public override Encoder Build(PartBuilder part) => new Recurrence(this, part);

    /// <summary>How many gates' weights stand on top of each other.</summary>
    internal abstract int Gates { get; }

    /// <summary>Runs one layer; the second set of weights is that of the other direction.</summary>
    internal abstract Tensor Run(Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths);
}

/// <summary>Long short-term memory; <c>"kind": "lstm"</c> in a recipe
/// (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735).</summary>
public sealed record LstmOptions : RecurrenceOptions
{
    internal override int Gates => 4;

    internal override Tensor Run(Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths) => backward is null
        ? Op.Lstm(x, Weights(forward), lengths: lengths).Outputs
        : Op.BidirectionalLstm(x, Weights(forward), Weights(backward), lengths: lengths).Outputs;

    private static LstmWeights Weights(RecurrentWeightSet set) => new(set.Input.Value, set.Recurrent.Value, set.InputBias.Value, set.RecurrentBias.Value);
}

/// <summary>Gated recurrent units; <c>"kind": "gru"</c> in a recipe (Cho et al. 2014, arXiv 1406.1078).</summary>
public sealed record GruOptions : RecurrenceOptions
{
    internal override int Gates => 3;

    internal override Tensor Run(Tensor x, RecurrentWeightSet forward, RecurrentWeightSet? backward, Tensor? lengths) => backward is null
        ? Op.Gru(x, Weights(forward), lengths: lengths).Outputs
        : Op.BidirectionalGru(x, Weights(forward), Weights(backward), lengths: lengths).Outputs;

    private static GruWeights Weights(RecurrentWeightSet set) => new(set.Input.Value, set.Recurrent.Value, set.InputBias.Value, set.RecurrentBias.Value);
}

/// <summary>The weights of one layer and direction: parameters, not <see cref="Weights.Weight"/>s, since a layer is one fused operation over the
/// whole sequence, which packs the F32 tensors themselves once for all steps; no other form could stand in for them.</summary>
internal sealed record RecurrentWeightSet(Parameter Input, Parameter Recurrent, Parameter InputBias, Parameter RecurrentBias);

/// <summary>
/// Recurrent layers over a sequence, O(length) and sequential in it. Parameters are named as PyTorch names them
/// (<c>weight_ih_l0</c>, <c>weight_hh_l0_reverse</c> …).
/// <para>Bidirectional: Schuster and Paliwal 1997, doi:10.1109/78.650093. Residual: Wu et al. 2016,
/// <see href="https://arxiv.org/abs/1609.08144"/>, section 3.1.</para>
/// </summary>
public sealed class Recurrence : Encoder
{
    private readonly RecurrenceOptions _options;
    private readonly List<(RecurrentWeightSet Forward, RecurrentWeightSet? Backward, Linear? Residual)> _layers = [];

    internal Recurrence(RecurrenceOptions options, PartBuilder part)
    {
        part.Require(options.Layers is >= 1 and <= 64, "layers", options.Layers, "1 to 64");
        part.Require(options.Hidden is >= 1 and <= 1 << 20, "hidden", options.Hidden, $"1 to {1 << 20}");
        _options = options;
        OutputWidth = checked(options.Hidden * (options.Bidirectional ? 2 : 1));
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
            var y = _options.Run(x, forward, backward, context.Lengths);
            x = _options.Residual ? Op.Add(y, residual?.Forward(x, context) ?? x) : y;
        }

        return x;
    }

    private RecurrentWeightSet Weights(PartBuilder part, int inputs, string suffix)
    {
        var (rows, hidden) = (_options.Gates * _options.Hidden, _options.Hidden);
        var deviation = 1 / Math.Sqrt(3.0 * hidden); // the deviation of PyTorch's uniform distribution
        return new RecurrentWeightSet(
            Own($"weight_ih_{suffix}", part.Matrix($"weight_ih_{suffix}", rows, inputs, deviation)),
            Own($"weight_hh_{suffix}", part.Matrix($"weight_hh_{suffix}", rows, hidden, deviation)),
            Own($"bias_ih_{suffix}", PartBuilder.Constant(rows, 0)),
            Own($"bias_hh_{suffix}", PartBuilder.Constant(rows, 0)));
    }
}
