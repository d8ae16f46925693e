namespace Tessera.Training.Schedules;

/// <summary>The peak learning rate throughout, after warm-up; <c>"kind": "constant"</c> in a recipe.</summary>
public sealed record ConstantSchedule : ScheduleOptions
{
    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress) => 1;
}
