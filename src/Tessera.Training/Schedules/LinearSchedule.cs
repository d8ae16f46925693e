namespace Tessera.Training.Schedules;

/// <summary>From the peak in a straight line to a minimum: <c>min + (1 − min)(1 − p)</c>; <c>"kind": "linear"</c> in a recipe.</summary>
/// <param name="Minimum">The factor at the end, from 0 to 1.</param>
public sealed record LinearSchedule(double Minimum = 0) : ScheduleOptions
{
    /// <summary>The factor at the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not from 0 to 1.</exception>
    public double Minimum { get; init => field = Share(value, nameof(Minimum)); } = Share(Minimum, nameof(Minimum));

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress) => Between(Minimum, 1 - progress);
}
