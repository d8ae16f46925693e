using Tessera.Nn.Caches;
using Tessera.Nn.Recurrence;
using Tessera.Tensors;

namespace Tessera.Nn.Mixers;

/// <summary>Options of <see cref="RecurrentMixer"/>.</summary>
/// <param name="Hidden">Hidden units, 1 to 1,048,576; as the width unless said, half of it a direction where both are read.</param>
public abstract record RecurrentMixerOptions(int? Hidden) : MixerOptions
{
    /// <inheritdoc/>
    public override Mixer Build(PartBuilder part, MixerRole role, int memoryWidth = 0) => new RecurrentMixer(this, part, role);

    /// <summary>The cell.</summary>
    internal abstract RecurrentCell Cell { get; }

    /// <summary>Hidden units of a direction.</summary>
    internal int HiddenIn(int width, MixerRole role) => Hidden ?? (role == MixerRole.Bidirectional ? Math.Max(1, width / 2) : width);
}

/// <summary>Long short-term memory as a layer's mixer; <c>"kind": "lstm"</c> in a recipe
/// (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735).</summary>
/// <param name="Hidden">Hidden units, 1 to 1,048,576; as the width unless said, half of it a direction where both are read.</param>
public sealed record LstmMixerOptions(int? Hidden = null) : RecurrentMixerOptions(Hidden)
{
    internal override RecurrentCell Cell => RecurrentCell.Lstm;
}

/// <summary>Gated recurrent units as a layer's mixer; <c>"kind": "gru"</c> in a recipe (Cho et al. 2014, arXiv 1406.1078).</summary>
/// <param name="Hidden">Hidden units, 1 to 1,048,576; as the width unless said, half of it a direction where both are read.</param>
public sealed record GruMixerOptions(int? Hidden = null) : RecurrentMixerOptions(Hidden)
{
    internal override RecurrentCell Cell => RecurrentCell.Gru;
}

/// <summary>
/// A recurrent layer between two additions to the hidden states: <c>o(rnn(x))</c>, forward in a decoder, both ways in an encoder. O(length)
/// and sequential in it; while decoding it keeps its state alone, whatever the length. Parameters are named as PyTorch names them.
/// <para>Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; in stacks with attention: Chen et al. 2018,
/// <see href="https://arxiv.org/abs/1804.09849"/>.</para>
/// </summary>
public sealed class RecurrentMixer : Mixer, ICached
{
    private readonly RecurrentCell _cell;
    private readonly RecurrentWeightSet _forward;
    private readonly RecurrentWeightSet? _backward;
    private readonly Linear _output;
    private readonly int _hidden;

    internal RecurrentMixer(RecurrentMixerOptions options, PartBuilder part, MixerRole role)
    {
        part.Require(
            role != MixerRole.Cross, "kind", "a recurrence", "a kind that reads another sequence, such as multi-head, for cross-attention");
        var hidden = options.HiddenIn(part.Width, role);
        part.Require(hidden is >= 1 and <= 1 << 20, "hidden", hidden, $"1 to {1 << 20}");
        (_cell, _hidden) = (options.Cell, hidden);
        _forward = RecurrentWeightSet.Of(part, _cell, part.Width, hidden, "l0", Own);
        if (role == MixerRole.Bidirectional) _backward = RecurrentWeightSet.Of(part, _cell, part.Width, hidden, "l0_reverse", Own);
        var outputs = checked(hidden * (_backward is null ? 1 : 2));
        _output = Own("o_proj", new Linear(part.At("o_proj"), outputs, part.Width, deviation: part.OutputDeviation(outputs)));
    }

    /// <inheritdoc/>
    public CacheLayout? CacheLayout =>
        _backward is not null ? null
        : _cell.HasCell ? new StateCacheLayout(_hidden, _hidden)
        : new StateCacheLayout(_hidden);

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        var outputs = context.Decoding is { } step && _backward is null ? Decode(x, step)
            : context.Segments is { } segments ? RunSegments(x, SegmentPlan.Of(segments))
            : _cell.Run(x, _forward, _backward, context.Lengths).Outputs;
        return _output.Forward(outputs, context);
    }

    private Tensor RunSegments(Tensor x, in SegmentPlan packed) =>
        packed.Place(_cell.Run(packed.Take(x), _forward, _backward, packed.Lengths).Outputs);

    /// <summary>Each sequence from where it was.</summary>
    private Tensor Decode(Tensor x, DecodingStep step)
    {
        var cache = (StateCache)step.Caches.Of(this);
        var outputs = new StepResult(step, x.Shape);
        foreach (var run in step.Runs)
        {
            var start = new RecurrentState(cache.Load(step, run, 0), _cell.HasCell ? cache.Load(step, run, 1) : null);
            var output = _cell.Run(StepResult.Part(x, run), _forward, null, null, start);
            if (output.Cell is { } cell) cache.Store(step, run, output.Hidden, cell);
            else cache.Store(step, run, output.Hidden);
            outputs.Add(run, output.Outputs);
        }

        return outputs.Whole;
    }
}
