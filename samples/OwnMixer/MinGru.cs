using Tessera.Nn;
using Tessera.Nn.Caches;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace OwnMixer;

/// <summary>Options of <see cref="MinGru"/>; <c>"kind": "min-gru"</c> in a recipe that names this assembly.</summary>
/// <param name="Hidden">Hidden units, 1 to 1,048,576; as the width unless said.</param>
[Part("min-gru")]
public sealed record MinGruOptions(int? Hidden = null) : MixerOptions
{
    /// <inheritdoc/>
    public override Mixer Build(PartBuilder part, MixerRole role, int memoryWidth = 0) => new MinGru(this, part, role);

    /// <inheritdoc/>
    public override MixerOptions Canonical(int width) => this with { Hidden = Hidden ?? width };
}

/// <summary>
/// A gated recurrent unit whose gate reads the input alone: <c>h[t] = (1 − z[t]) h[t−1] + z[t] W x[t]</c> with <c>z[t] = σ(V x[t] + b)</c>,
/// then a map back to the width. Since no gate waits for a state, all states come at once, in log₂ length rounds; while decoding it keeps
/// one vector of a sequence, whatever the length. For decoders only.
/// <para>Feng et al. 2024, "Were RNNs all we needed?", <see href="https://arxiv.org/abs/2410.01201"/>, section 3.1.</para>
/// </summary>
public sealed class MinGru : Mixer, ICached
{
    private const int MaxHidden = 1 << 20;
    private readonly int _hidden;
    private readonly Linear _gate;
    private readonly Linear _candidate;
    private readonly Linear _output;

    /// <summary>Builds the part.</summary>
    /// <param name="options">How wide it is.</param>
    /// <param name="part">Width, place in the recipe, random numbers.</param>
    /// <param name="role">Causal.</param>
    /// <exception cref="RecipeException">The hidden width is out of range, or the role is another.</exception>
    public MinGru(MinGruOptions options, PartBuilder part, MixerRole role)
    {
        part.Require(
            role == MixerRole.Causal, "kind", "min-gru", "another, such as multi-head, in an encoder and for cross-attention");
        _hidden = options.Hidden ?? part.Width;
        part.Require(_hidden is >= 1 and <= MaxHidden, "hidden", _hidden, $"1 to {MaxHidden}");
        _gate = Own("z_proj", new Linear(part.At("z_proj"), part.Width, _hidden, bias: true));
        _candidate = Own("h_proj", new Linear(part.At("h_proj"), part.Width, _hidden));
        _output = Own("o_proj", new Linear(part.At("o_proj"), _hidden, part.Width, deviation: part.OutputDeviation(_hidden)));
    }

    /// <inheritdoc/>
    public CacheLayout CacheLayout => new StateCacheLayout(_hidden);

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        using var shared = Activations.Of(x);
        var gate = _gate.Forward(shared, context);
        var added = Op.Gate(gate, _candidate.Forward(shared, context), Activation.Sigmoid);
        var kept = Op.Activate(Op.Scale(gate, -1), Activation.Sigmoid); // 1 − σ(g) = σ(−g), without a difference of like numbers
        var states = context.Decoding is { } step ? Decode(kept, added, step) : LinearScan.Run(kept, added, context.Segments);
        return _output.Forward(states, context);
    }

    /// <summary>Each sequence from the state it was in.</summary>
    private Tensor Decode(Tensor kept, Tensor added, DecodingStep step)
    {
        var cache = (StateCache)step.Caches.Of(this);
        var states = new StepResult(step, kept.Shape);
        foreach (var run in step.Runs)
        {
            var before = cache.Load(step, run, 0);
            var own = LinearScan.Run(StepResult.Part(kept, run), StepResult.Part(added, run), segments: null, before);
            cache.Store(step, run, LinearScan.Last(own));
            states.Add(run, own);
        }

        return states.Whole;
    }
}
