using Tessera.Nn;

namespace Tessera.Training.Precision;

/// <summary>Options of the loss scale of a phase that computes in F16; <c>"lossScale"</c> in a phase. The defaults are those
/// of PyTorch's <c>GradScaler</c>; the floor is Tessera's.</summary>
public sealed record LossScaleOptions
{
    private const double Least = 1e-30;

    /// <summary>The scale that the phase starts with; greater than 0.</summary>
    public double Initial { get; init; } = 65536;

    /// <summary>What the scale is multiplied by after <see cref="Interval"/> steps in a row whose gradients were finite; greater than
    /// 1.</summary>
    public double Growth { get; init; } = 2;

    /// <summary>What the scale is multiplied by after a step whose gradients were not finite; greater than 0, below 1.</summary>
    public double Backoff { get; init; } = 0.5;

    /// <summary>How many steps with finite gradients make the scale grow; at least 1.</summary>
    public int Interval { get; init; } = 2000;

    /// <summary>Training has failed where the scale falls below this; at least 1e-30, at most <see cref="Initial"/>.</summary>
    public double Floor { get; init; } = 1;

    internal void Validate(string path)
    {
        Require(Initial is >= Least and <= float.MaxValue, "initial", Initial, $"{Least} to {float.MaxValue}");
        Require(Growth > 1 && double.IsFinite(Growth), "growth", Growth, "greater than 1");
        Require(Backoff is > 0 and < 1, "backoff", Backoff, "greater than 0, below 1");
        Require(Interval >= 1, "interval", Interval, "at least 1");
        Require(Floor >= Least && Floor <= Initial, "floor", Floor, $"at least {Least}, at most initial, {Initial}");

        void Require(bool condition, string key, object found, string allowed)
        {
            if (!condition) throw new RecipeException($"{path}.{key}", $"is {found}; allowed: {allowed}");
        }
    }
}

/// <summary>
/// What the loss is multiplied by before the backward pass, so that small gradients do not vanish in F16, and the
/// gradients divided by after it. It follows what F16 can hold: a step whose gradients are not finite is left out and the
/// scale shrinks; after many steps in a row that were, it grows.
/// <para>Micikevicius et al. 2017, <see href="https://arxiv.org/abs/1710.03740"/>, section 3.2; the rule is that of PyTorch's
/// <c>torch.amp.GradScaler</c>.</para>
/// </summary>
/// <param name="Value">The scale.</param>
/// <param name="FiniteSteps">Steps with finite gradients since it last changed.</param>
internal readonly record struct LossScale(float Value, int FiniteSteps)
{
    /// <summary>The scale of computing in F32 and BF16, which hold what small gradients there are.</summary>
    public static LossScale None => new(1, 0);

    /// <summary>The scale at the start of a phase.</summary>
    public static LossScale Start(LossScaleOptions options) => new((float)options.Initial, 0);

    /// <summary>The scale after one more step.</summary>
    /// <param name="finite">Whether all gradients of the step were finite.</param>
    /// <param name="options">How the scale changes.</param>
    public LossScale After(bool finite, LossScaleOptions options)
    {
        if (!finite) return new((float)(Value * options.Backoff), 0);
        if (FiniteSteps + 1 < options.Interval) return this with { FiniteSteps = FiniteSteps + 1 };
        var grown = (float)(Value * options.Growth);
        return new(float.IsFinite(grown) ? grown : Value, 0);
    }
}
