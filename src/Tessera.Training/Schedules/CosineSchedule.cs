namespace Tessera.Training.Schedules;

/// <summary>
/// From the peak along half a cosine wave to a minimum: <c>min + (1 − min) · ½ (1 + cos πp)</c>; with several cycles, that many
/// times over, each from the peak again. <c>"kind": "cosine"</c> in a recipe.
/// <para>Loshchilov, Hutter 2016, <see href="https://arxiv.org/abs/1608.03983"/>, equation 5, with cycles of equal length.</para>
/// </summary>
/// <param name="Minimum">The factor at the end, from 0 to 1.</param>
/// <param name="Cycles">How many times the rate falls, at least 1.</param>
public sealed record CosineSchedule(double Minimum = 0, int Cycles = 1) : ScheduleOptions
{
    /// <summary>The factor at the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not from 0 to 1.</exception>
    public double Minimum { get; init => field = Share(value, nameof(Minimum)); } = Share(Minimum, nameof(Minimum));

    /// <summary>How many times the rate falls.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than 1.</exception>
    public int Cycles { get; init => field = AtLeastOne(value); } = AtLeastOne(Cycles);

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress) =>
        Between(Minimum, progress < 1 ? HalfWave(Cycles * progress % 1) : 0);

    private static int AtLeastOne(int cycles) => Allowed(cycles, cycles >= 1, nameof(Cycles), "at least 1");
}
