namespace Tessera.Training.Schedules;

/// <summary>
/// With the inverse root of the step: <c>√(s / (s + t))</c>, t steps after warm-up, where the scale s is the number of
/// warm-up steps. It needs no end. <c>"kind": "inverse-sqrt"</c> in a recipe.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, equation 3.</para>
/// </summary>
/// <param name="Timescale">s, in steps, at least 1; where null, the steps of warm-up, or 10 000 without warm-up.</param>
public sealed record InverseSquareRootSchedule(long? Timescale = null) : ScheduleOptions
{
    /// <summary>s, in steps.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than 1.</exception>
    public long? Timescale { get; init => field = AtLeastOne(value); } = AtLeastOne(Timescale);

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress)
    {
        var scale = (double)(Timescale ?? (WarmupSteps > 0 ? WarmupSteps : 10_000));
        return Math.Sqrt(scale / (scale + step));
    }

    private static long? AtLeastOne(long? timescale) =>
        Allowed(timescale, timescale is null or >= 1, nameof(Timescale), "at least 1");
}
