using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.FeedForward;

/// <summary>Options of <see cref="DenseFeedForward"/> and of one expert of a mixture.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; where null 4 times the width, or ⅔ of that, rounded up to a multiple
/// of 8, with a gate.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SwiGluOptions), "swiglu")]
[JsonDerivedType(typeof(GeGluOptions), "geglu")]
[JsonDerivedType(typeof(GeGluTanhOptions), "geglu-tanh")]
[JsonDerivedType(typeof(ReGluOptions), "reglu")]
[JsonDerivedType(typeof(GluOptions), "glu")]
[JsonDerivedType(typeof(ClampedSwiGluOptions), "clamped-swiglu")]
[JsonDerivedType(typeof(GeluOptions), "gelu")]
[JsonDerivedType(typeof(GeluTanhOptions), "gelu-tanh")]
[JsonDerivedType(typeof(SiluOptions), "silu")]
[JsonDerivedType(typeof(ReluOptions), "relu")]
[JsonDerivedType(typeof(ReluSquaredOptions), "relu-squared")]
[JsonDerivedType(typeof(TanhOptions), "tanh")]
[JsonDerivedType(typeof(SigmoidOptions), "sigmoid")]
public abstract record DenseOptions(int? Hidden = null) : FeedForwardOptions
{
    /// <summary>Whether the maps have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The activation of the hidden layer, or of its gate.</summary>
    internal abstract Activation Activation { get; }

    /// <summary>Whether the hidden layer is gated: three matrices, not two.</summary>
    internal abstract bool IsGated { get; }

    /// <summary>Whether the hidden layer is <see cref="Activation"/> of one map, times the other where it <see cref="IsGated"/>.</summary>
    internal virtual bool IsPlain => true;

    /// <summary>The width of the hidden layer where tokens have a width: as said, or 4 times that width without a gate, ⅔ of it with one,
    /// so that both have as many weights (Shazeer 2020, arXiv 2002.05202), rounded up to a multiple of 8.</summary>
    public int HiddenAt(int width) => Hidden ?? (IsGated ? RoundUp(8L * width, 3) : 4 * width);

    /// <summary>Throws where an option of its own is not allowed.</summary>
    internal virtual void Check(PartBuilder part)
    {
    }

    /// <summary>The hidden layer: the activation of up, or of the gate times up where it <see cref="IsGated"/>.</summary>
    internal virtual Tensor Activate(Tensor? gate, Tensor up) => gate is null ? Op.Activate(up, Activation) : Op.Gate(gate, up, Activation);

    /// <inheritdoc/>
    public override DenseOptions At(int width) => this with { Hidden = HiddenAt(width) };

    /// <inheritdoc/>
    public override FeedForward Build(PartBuilder part) => new DenseFeedForward(this, part);

    /// <summary>A quotient rounded up to a multiple of 8.</summary>
    internal static int RoundUp(long dividend, int divisor) => (int)((dividend + (8L * divisor) - 1) / (8L * divisor) * 8);
}

/// <summary><c>"kind": "swiglu"</c>: <c>W₂ (silu(W₁ x) · W₃ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record SwiGluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Silu;

    internal override bool IsGated => true;
}

/// <summary>
/// <c>"kind": "clamped-swiglu"</c>: <c>W₂ (g σ(α g) · (u + 1))</c> with <c>g = min(W₁ x, limit)</c> and <c>u = clamp(W₃ x, ±limit)</c>,
/// as gpt-oss has it (OpenAI 2025, arXiv 2508.10925).
/// </summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record ClampedSwiGluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    /// <summary>How steep the sigmoid is; above 0.</summary>
    public float Alpha { get; init; } = 1.702f;

    /// <summary>The greatest gate, and the greatest magnitude of what it multiplies; above 0.</summary>
    public float Limit { get; init; } = 7;

    internal override Activation Activation => Activation.Silu;

    internal override bool IsGated => true;

    internal override void Check(PartBuilder part)
    {
        part.Require(Alpha is > 0 and < float.PositiveInfinity, "alpha", Alpha, "above 0");
        part.Require(Limit is > 0 and < float.PositiveInfinity, "limit", Limit, "above 0");
    }

    internal override bool IsPlain => false;

    internal override Tensor Activate(Tensor? gate, Tensor up) => Op.ClampedGate(gate!, up, Alpha, Limit);
}

/// <summary><c>"kind": "geglu"</c>: <c>W₂ (gelu(W₁ x) · W₃ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record GeGluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Gelu;

    internal override bool IsGated => true;
}

/// <summary><c>"kind": "geglu-tanh"</c>: <c>W₂ (gelu(W₁ x) · W₃ x)</c>, gelu by its tanh approximation.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record GeGluTanhOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.GeluTanh;

    internal override bool IsGated => true;
}

/// <summary><c>"kind": "reglu"</c>: <c>W₂ (max(W₁ x, 0) · W₃ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record ReGluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Relu;

    internal override bool IsGated => true;
}

/// <summary><c>"kind": "glu"</c>: <c>W₂ (σ(W₁ x) · W₃ x)</c> (Dauphin et al. 2016, arXiv 1612.08083).</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; ⅔ of 4 times the width, in eights, where null.</param>
public sealed record GluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Sigmoid;

    internal override bool IsGated => true;
}

/// <summary><c>"kind": "gelu"</c>: <c>W₂ gelu(W₁ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record GeluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Gelu;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "gelu-tanh"</c>: <c>W₂ gelu(W₁ x)</c>, gelu by its tanh approximation, as GPT-2 has it.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record GeluTanhOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.GeluTanh;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "silu"</c>: <c>W₂ silu(W₁ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record SiluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Silu;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "relu"</c>: <c>W₂ max(W₁ x, 0)</c>, the original Transformer's.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record ReluOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Relu;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "relu-squared"</c>: <c>W₂ max(W₁ x, 0)²</c> (So et al. 2021, arXiv 2109.08668).</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record ReluSquaredOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.ReluSquared;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "tanh"</c>: <c>W₂ tanh(W₁ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record TanhOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Tanh;

    internal override bool IsGated => false;
}

/// <summary><c>"kind": "sigmoid"</c>: <c>W₂ σ(W₁ x)</c>.</summary>
/// <param name="Hidden">The width of the hidden layer, 1 to 1,048,576; 4 times the width where null.</param>
public sealed record SigmoidOptions(int? Hidden = null) : DenseOptions(Hidden)
{
    internal override Activation Activation => Activation.Sigmoid;

    internal override bool IsGated => false;
}

/// <summary>
/// A hidden layer of every token on its own, gated or not: <c>down(f(gate(x)) · up(x))</c> or <c>down(f(up(x)))</c>.
/// <para>Shazeer 2020, <see href="https://arxiv.org/abs/2002.05202"/>; Vaswani et al. 2017, section 3.3.</para>
/// </summary>
public sealed class DenseFeedForward : FeedForward
{
    internal const int MaxHidden = 1 << 20;
    private readonly DenseOptions _options;
    private readonly Linear? _gate;
    private readonly Linear _up;
    private readonly Linear _down;

    internal DenseFeedForward(DenseOptions options, PartBuilder part)
    {
        var hidden = options.HiddenAt(part.Width);
        part.Require(hidden is >= 1 and <= MaxHidden, "hidden", hidden, $"1 to {MaxHidden}");
        options.Check(part);
        _options = options;
        if (options.IsGated) _gate = Own("gate_proj", new Linear(part.At("gate_proj"), part.Width, hidden, options.Bias));
        _up = Own("up_proj", new Linear(part.At("up_proj"), part.Width, hidden, options.Bias));
        _down = Own("down_proj", new Linear(part.At("down_proj"), hidden, part.Width, options.Bias, part.OutputDeviation(hidden)));
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        if (Tape.IsRecording && _options.IsPlain && _gate is null or { FloatMap: not null }
            && _up.FloatMap is { } wide && _down.FloatMap is { } narrow)
            return Op.FeedForward(x, _gate?.FloatMap, wide, narrow, _options.Activation);
        using var shared = Activations.Of(x);
        if (_gate is null) return _down.Forward(_options.Activate(null, _up.Forward(shared, context)), context);
        var (up, gate) = Linear.Forward(shared, _up, _gate, context);
        return _down.Forward(_options.Activate(gate, up), context);
    }
}
