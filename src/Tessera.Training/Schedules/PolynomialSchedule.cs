namespace Tessera.Training.Schedules;

/// <summary>From the peak to a minimum with a power of the time left: <c>min + (1 − min)(1 − p)ⁿ</c>;
/// <c>"kind": "polynomial"</c> in a recipe.</summary>
/// <param name="Power">n, above 0; 1 is <see cref="LinearSchedule"/>.</param>
/// <param name="Minimum">The factor at the end, from 0 to 1.</param>
public sealed record PolynomialSchedule(double Power = 1, double Minimum = 0) : ScheduleOptions
{
    /// <summary>n, the power.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above 0, or infinite.</exception>
    public double Power { get; init => field = Positive(value); } = Positive(Power);

    /// <summary>The factor at the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not from 0 to 1.</exception>
    public double Minimum { get; init => field = Share(value, nameof(Minimum)); } = Share(Minimum, nameof(Minimum));

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress) => Between(Minimum, Math.Pow(1 - progress, Power));

    private static double Positive(double power) =>
        Allowed(power, power > 0 && double.IsFinite(power), nameof(Power), "above 0 and finite");
}
