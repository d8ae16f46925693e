using System.Text.Json;
using Tessera.Testing;
using Tessera.Training.Schedules;

namespace Tessera.Training.Tests.Schedules;

public class ScheduleTests
{
    private const int Steps = 200, Warmup = 20;

    public static TheoryData<string, ScheduleOptions> Fixtures => new()
    {
        { "cosine", new CosineSchedule { WarmupSteps = Warmup } },
        { "cosine_min", new CosineSchedule(Minimum: 0.1) { WarmupSteps = Warmup } },
        { "cosine_restarts", new CosineSchedule(Cycles: 3) { WarmupSteps = Warmup } },
        { "linear", new LinearSchedule { WarmupSteps = Warmup } },
        { "inverse_sqrt", new InverseSquareRootSchedule { WarmupSteps = Warmup } },
        { "warmup_stable_decay", new StableDecaySchedule(50.0 / (Steps - Warmup), Minimum: 0.1) { WarmupSteps = Warmup } },
        { "polynomial", new PolynomialSchedule(Power: 2, Minimum: 0.05) { WarmupSteps = Warmup } },
    };

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void The_factor_at_every_step_is_that_of_Hugging_Face(string name, ScheduleOptions schedule)
    {
        var expected = new ReferenceTensors(Fixture.Local("torch/schedules/expected.safetensors")).Floats(name);
        Assert.Equal(Steps, expected.Length);
        for (var step = 0; step < Steps; step++) Assert.Equal(expected[step], schedule.Factor(step, (long)Steps), 1e-7);
    }

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void A_phase_measured_in_time_has_the_factors_of_one_measured_in_steps(string name, ScheduleOptions schedule)
    {
        Assert.NotEmpty(name);
        for (var step = 0; step < Steps; step++)
        {
            var progress = Math.Max(0, step - Warmup) / (double)(Steps - Warmup);
            Assert.Equal(schedule.Factor(step, (long)Steps), schedule.Factor(step, progress));
        }
    }

    [Fact]
    public void Past_the_end_the_last_factor_stays()
    {
        foreach (
            ScheduleOptions schedule in new ScheduleOptions[]
            {
                new CosineSchedule(0.1),
                new LinearSchedule(0.1),
                new StableDecaySchedule(0.3, 0.1),
                new PolynomialSchedule(3, 0.1),
            })
        {
            Assert.Equal(0.1, schedule.Factor(10, 10L), 1e-12);
            Assert.Equal(0.1, schedule.Factor(1000, 10L), 1e-12);
            Assert.Equal(0.1, schedule.Factor(3, 1.7), 1e-12);
        }
    }

    [Fact]
    public void A_phase_shorter_than_its_warmup_only_climbs()
    {
        var schedule = new CosineSchedule { WarmupSteps = 100 };
        Assert.Equal([0, 0.05, 0.1], new long[] { 0, 5, 10 }.Select(step => schedule.Factor(step, 10L)));
    }

    [Fact]
    public void A_constant_rate_climbs_and_stays()
    {
        var schedule = new ConstantSchedule { WarmupSteps = 4 };
        Assert.Equal([0, 0.25, 0.5, 0.75, 1, 1, 1], Enumerable.Range(0, 7).Select(step => schedule.Factor(step, 6L)));
    }

    [Fact]
    public void Schedules_are_read_from_JSON_by_their_kind()
    {
        Assert.Equal(
            new CosineSchedule(0.1) { WarmupSteps = 20 },
            JsonSerializer.Deserialize<ScheduleOptions>(
                """{ "kind": "cosine", "minimum": 0.1, "warmupSteps": 20 }""",
                JsonSerializerOptions.Web
            )
        );
        foreach (var kind in new[] { "constant", "linear", "cosine", "inverse-sqrt", "warmup-stable-decay", "polynomial" })
            Assert.NotNull(JsonSerializer.Deserialize<ScheduleOptions>($$"""{ "kind": "{{kind}}" }""", JsonSerializerOptions.Web));
    }

    [Fact]
    public void Impossible_numbers_are_refused_by_name_and_value()
    {
        Throws("Minimum", "1.5", () => new CosineSchedule(1.5));
        Throws("Cycles", "0", () => new CosineSchedule(Cycles: 0));
        Throws("WarmupSteps", "-1", () => new ConstantSchedule { WarmupSteps = -1 });
        Throws("DecayShare", "-0.1", () => new StableDecaySchedule(-0.1));
        Throws("Power", "0", () => new PolynomialSchedule(0));
        Throws("Timescale", "0", () => new InverseSquareRootSchedule(0));
        Throws("progress", "NaN", () => new ConstantSchedule().Factor(1, double.NaN));
    }

    private static void Throws(string what, string found, Func<object?> action)
    {
        var message = Assert.Throws<ArgumentOutOfRangeException>(action).Message;
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.Contains(found, message, StringComparison.Ordinal);
    }
}
