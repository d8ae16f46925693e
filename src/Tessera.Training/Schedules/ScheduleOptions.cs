using System.Text.Json.Serialization;

namespace Tessera.Training.Schedules;

/// <summary>
/// How the learning rate moves during a phase: a factor of its peak, which climbs in a straight line over
/// <see cref="WarmupSteps"/> steps and then depends on how much of the rest of the phase has passed. A phase may be measured in
/// steps or in minutes: warm-up is counted in steps in both, the rest in a share from 0 to 1. The key <c>kind</c> says
/// which schedule in a recipe. The formulas are those of Hugging Face's <c>transformers.optimization</c>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(LinearSchedule), "linear")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
[JsonDerivedType(typeof(InverseSquareRootSchedule), "inverse-sqrt")]
[JsonDerivedType(typeof(StableDecaySchedule), "warmup-stable-decay")]
[JsonDerivedType(typeof(PolynomialSchedule), "polynomial")]
public abstract record ScheduleOptions
{
    /// <summary>Steps of warm-up, at least 0. Step 0 has the factor <see cref="Floor"/>, step <see cref="WarmupSteps"/> the whole
    /// rate.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public long WarmupSteps
    {
        get;
        init => field = Allowed(value, value >= 0, nameof(WarmupSteps), "at least 0");
    }

    /// <summary>The factor that warm-up starts from.</summary>
    [JsonIgnore]
    protected virtual double Floor => 0;

    /// <summary>The factor of the peak learning rate in a phase that is measured in steps.</summary>
    /// <param name="step">Steps done before this one: 0 for the first.</param>
    /// <param name="totalSteps">Steps of the phase, warm-up included; past them the last factor stays.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative number of steps.</exception>
    public double Factor(long step, long totalSteps)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(totalSteps);
        return Factor(step, Math.Max(0, step - WarmupSteps) / (double)Math.Max(1, totalSteps - WarmupSteps));
    }

    /// <summary>The factor of the peak learning rate in a phase that is measured otherwise, as in minutes.</summary>
    /// <param name="step">Steps done before this one: 0 for the first.</param>
    /// <param name="progress">How much of the phase's time after warm-up has passed, from 0 to 1; more counts as 1. Not read during
    /// warm-up.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative step, or a progress that is negative or no number.</exception>
    public double Factor(long step, double progress)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (step < WarmupSteps) return Between(Floor, (double)step / WarmupSteps);
        if (!(progress >= 0)) throw new ArgumentOutOfRangeException(nameof(progress), progress, "progress must be from 0 to 1");
        return AfterWarmup(step - WarmupSteps, Math.Min(progress, 1));
    }

    /// <summary>The factor after warm-up.</summary>
    /// <param name="step">Steps done since warm-up ended.</param>
    /// <param name="progress">The share of the phase's time after warm-up that has passed, from 0 to 1.</param>
    protected abstract double AfterWarmup(long step, double progress);

    /// <summary><paramref name="floor"/> at 0, 1 at 1.</summary>
    private protected static double Between(double floor, double share) => floor + ((1 - floor) * share);

    /// <summary>Half a cosine wave: 1 at 0, 0 at 1.</summary>
    private protected static double HalfWave(double share) => 0.5 * (1 + Math.Cos(Math.PI * share));

    private protected static double Share(double value, string option) => Allowed(value, value is >= 0 and <= 1, option, "from 0 to 1");

    private protected static T Allowed<T>(T value, bool allowed, string option, string range) => allowed
        ? value
        : throw new ArgumentOutOfRangeException(option, value, $"{option} must be {range}");
}
