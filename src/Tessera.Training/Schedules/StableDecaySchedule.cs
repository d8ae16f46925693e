namespace Tessera.Training.Schedules;

/// <summary>
/// Warm-up, then the peak, then half a cosine wave down to a minimum, which is also where warm-up starts;
/// <c>"kind": "warmup-stable-decay"</c> in a recipe.
/// <para>Hu et al. 2024 (MiniCPM), <see href="https://arxiv.org/abs/2404.06395"/>, section 4.2; the wave is that of Hugging
/// Face's <c>get_wsd_schedule</c>.</para>
/// </summary>
/// <param name="DecayShare">The last part of the phase, as a share of what follows warm-up, in which the rate falls: from 0 to 1.</param>
/// <param name="Minimum">The factor at the end, from 0 to 1.</param>
public sealed record StableDecaySchedule(double DecayShare = 0.2, double Minimum = 0) : ScheduleOptions
{
    /// <summary>The share of the time after warm-up in which the rate falls.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not from 0 to 1.</exception>
    public double DecayShare { get; init => field = Share(value, nameof(DecayShare)); } = Share(DecayShare, nameof(DecayShare));

    /// <summary>The factor at the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not from 0 to 1.</exception>
    public double Minimum { get; init => field = Share(value, nameof(Minimum)); } = Share(Minimum, nameof(Minimum));

    /// <inheritdoc/>
    protected override double Floor => Minimum;

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, double progress)
    {
        var decayed = progress - (1 - DecayShare);
        return decayed > 0 ? Between(Minimum, HalfWave(decayed / DecayShare)) : 1;
    }
}
