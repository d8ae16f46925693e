using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;
using Tessera.Training.Schedules;
using Tessera.Training.Tests.Data;

namespace Tessera.Training.Tests;

public sealed class TrainerTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_loss_goes_down_and_the_finished_model_loads(bool text)
    {
        string[] settings = ["phases[0].steps=60"];
        var losses = TrainingFolder.Losses(_folder.Train(text ? TrainingFolder.TextRecipe(settings) : TrainingFolder.Recipe(settings)));
        Assert.Equal(60, losses.Length);
        Assert.InRange(losses[0], 4, 8); // ln 280 = 5.6 where nothing is known
        Assert.True(losses[^10..].Average() < 0.7 * losses[0], $"from {losses[0]} to {losses[^1]}");
        var loaded = ModelFolder.Load(_folder.In("run"));
        Assert.Equal(!text, loaded.Model.ReadsSource);
        Assert.Equal((32, 32), (loaded.Config.Length, loaded.Config.SourceLength));
        Assert.InRange(loaded.Model.ParameterCount(), 3_000, 20_000);
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others()
    {
        _folder.Train(TrainingFolder.Recipe(), "first");
        _folder.Train(TrainingFolder.Recipe(), "second");
        _folder.Train(TrainingFolder.Recipe("seed=2"), "other");
        Assert.Equal(_folder.Weights("first"), _folder.Weights("second"));
        Assert.NotEqual(_folder.Weights("first"), _folder.Weights("other"));
    }

    [Fact]
    public void Two_half_batches_accumulated_are_one_batch()
    {
        // 127 letters, with Begin and End 128 predictions: four full rows, one batch of 128 or two of 64 an epoch.
        ByteTokens.Tokenizer.Save(_folder.In("bytes.json"));
        File.WriteAllText(_folder.In("text.txt"), string.Concat(Enumerable.Range(0, 127).Select(i => (char)('a' + (i * i % 23)))));
        // Plain descent: Adam's first step is a gradient's sign, and experts are chosen; both make rounding visible.
        List<StepDone> Train(int tokens, int accumulate) => [.. _folder.Train(
                        TrainingFolder.TextRecipe(
                """data={"kind":"text","path":"text.txt","validationFraction":0,"testFraction":0}""", "tokenizer.file=bytes.json",
                            $"batches.tokens={tokens}",
                            $"phases[0].accumulate={accumulate}",
                            "phases[0].steps=4",
                            "phases[0].losses={}",
                            "model.decoder.dropout=0",
                """optimizer={"kind":"nesterov"}""", """model.decoder.feedForward={"kind":"swiglu","hidden":16}"""),
                        $"{tokens}-{accumulate}"
                    )
                    .OfType<StepDone>(),
            ];

        var (whole, halves, half) = (Train(128, 1), Train(64, 2), Train(64, 1));
        for (var step = 0; step < whole.Count; step++)
        {
            Assert.Equal(whole[step].Loss, halves[step].Loss, 1e-5 * whole[step].Loss);
            Assert.Equal(whole[step].GradientNorm, halves[step].GradientNorm, 1e-4 * whole[step].GradientNorm);
            Assert.Equal(whole[step].Tokens, halves[step].Tokens);
        }

        Assert.True(whole[^1].Loss < whole[0].Loss);
        Assert.True(Math.Abs(whole[0].GradientNorm - half[0].GradientNorm) > 0.01 * whole[0].GradientNorm);
    }

    [Fact]
    public void Phases_follow_one_another_with_their_own_learning_rates_and_schedules()
    {
        var recipe = TrainingFolder.Recipe() with
        {
            Phases =
            [
                new Phase { Name = "climb", Steps = 4, LearningRate = 0.02, Schedule = new LinearSchedule { WarmupSteps = 2 } },
                new Phase { Name = "hold", Steps = 3, LearningRate = 0.004, Schedule = new ConstantSchedule() },
                new Phase { Name = "fall", Steps = 4, LearningRate = 0.008, Schedule = new CosineSchedule() },
            ],
        };
        var done = _folder.Train(recipe).OfType<StepDone>().ToList();
        Assert.Equal(
            ["climb", "climb", "climb", "climb", "hold", "hold", "hold", "fall", "fall", "fall", "fall"], done.Select(step => step.Phase));
        double[] rates =
        [
            0, 0.01, 0.02, 0.01, 0.004, 0.004, 0.004, 0.008, 0.004 * (1 + Math.Sqrt(0.5)), 0.004, 0.004 * (1 - Math.Sqrt(0.5))];
        Assert.All(rates.Zip(done), pair => Assert.Equal(pair.First, pair.Second.LearningRate, 1e-12));
        Assert.Equal(Enumerable.Range(1, 11).Select(step => (long)step), done.Select(step => step.Step));
        Assert.Equal([0.25, 0.5, 0.75, 1], done[..4].Select(step => step.Progress));
    }

    [Fact]
    public void The_weight_of_the_balance_loss_changes_the_gradient_and_not_the_loss()
    {
        StepDone First(string weight) =>
            _folder
                .Train(TrainingFolder.Recipe("phases[0].steps=1", $"phases[0].losses.balance={weight}"), weight)
                .OfType<StepDone>()
                .Single();
        var (none, some, much) = (First("0"), First("1"), First("30"));
        Assert.Equal(none.Loss, some.Loss);
        Assert.Equal(none.Loss, much.Loss);
        Assert.NotEqual(none.GradientNorm, some.GradientNorm);
        Assert.True(much.GradientNorm > some.GradientNorm);
    }

    [Fact]
    public void Label_smoothing_mixes_the_loss_with_that_of_all_tokens()
    {
        double First(string smoothing) =>
            TrainingFolder.Losses(
                _folder.Train(TrainingFolder.Recipe("phases[0].steps=1", $"phases[0].labelSmoothing={smoothing}"), smoothing))[0];
        // (1 − ε) a + ε b is a straight line in ε.
        var (none, some, more) = (First("0"), First("0.2"), First("0.4"));
        Assert.NotEqual(none, some);
        Assert.Equal(2 * (some - none), more - none, 1e-4);
    }

    [Fact]
    public void Clipping_bounds_how_far_one_step_goes()
    {
        var recipe = TrainingFolder.Recipe("phases[0].steps=1", "phases[0].learningRate=0.5", "phases[0].clipNorm=0.01") with
        {
            Optimizer = new NesterovOptions(Momentum: 0),
        };
        var norm = _folder.Train(recipe).OfType<StepDone>().Single().GradientNorm;
        Assert.True(norm > 0.1);
        var after = ModelFolder.Load(_folder.In("run"));
        var before = recipe.Model.Build(after.Config.Vocabulary, recipe.Seed);
        var squares = before.Parameters().Zip(after.Model.Parameters()).Sum(pair =>
                pair.First.Parameter.Value.ToArray()
                    .Zip(pair.Second.Parameter.Value.ToArray())
                    .Sum(weights => Math.Pow(weights.First - weights.Second, 2))
            );
        Assert.Equal(0.5 * 0.01, Math.Sqrt(squares), 1e-5);
    }

    [Fact]
    public void A_phase_in_minutes_ends_in_time_and_its_rate_falls()
    {
        var phase = new Phase { Minutes = 0.01, LearningRate = 0.01, Schedule = new LinearSchedule { WarmupSteps = 3 } };
        _folder.Train(TrainingFolder.Recipe(), "warm"); // so that the compiler's time is not the phase's
        var start = DateTime.UtcNow;
        var done = _folder
            .Train(TrainingFolder.Recipe() with { Phases = [phase, phase with { Steps = 2, Minutes = 10 }] })
            .OfType<StepDone>()
            .ToList();
        Assert.InRange((DateTime.UtcNow - start).TotalSeconds, 0.6, 20);
        Assert.InRange(done.Count, 6, 100_000);
        Assert.Equal(1, done[^3].Progress);
        Assert.InRange(done[^3].LearningRate, 0, 0.009);
        Assert.True(
            done[3..^2].Select(step => step.LearningRate).SequenceEqual(done[3..^2].Select(step => step.LearningRate).OrderDescending()));
        Assert.Equal(done[^2].Step + 1, done[^1].Step); // the second phase ends with its steps
    }

    [Fact]
    public void Validation_measures_the_model_of_that_step_and_is_written_down()
    {
        var events = _folder.Train(TrainingFolder.Recipe("validation.everySteps=5"));
        var validated = events.OfType<Validated>().ToList();
        Assert.Equal([5L, 10, 12], validated.Select(happened => happened.Step)); // and at the end
        var loaded = ModelFolder.Load(_folder.In("run"));
        var corpus = TrainingFolder.Recipe().Data.Load(_folder.Path);
        var loss = TrainingFolder.Loss(loaded, corpus, TrainingFolder.Recipe().Batches);
        Assert.Equal(loss, validated[^1].Loss);
        Assert.Equal("decoder.layers.0.feed_forward", Assert.Single(validated[^1].ExpertUse).Key);
        Assert.InRange(validated[^1].ExpertUse.Values.Single(), 1.0 / 3, 1);
        var prepared = Assert.IsType<Prepared>(events[0]);
        Assert.Equal((60, 10, 0, 0L), (prepared.Examples, prepared.ValidationExamples, prepared.TooLong, prepared.Step));
        Assert.Equal([5L, 10, 12], events.OfType<Saved>().Select(saved => saved.Step));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(14)] // the first validation loss is not a number
    public void Training_that_diverges_skips_steps_and_then_says_so_and_keeps_its_last_good_checkpoint(int validateEvery)
    {
        var events = new List<TrainingEvent>();
        var recipe = TrainingFolder.Recipe(
            "phases[0].steps=10", "checkpoints.everySteps=2", $"validation.everySteps={validateEvery}", "validation.patience=100");
        recipe = recipe with { Phases = [recipe.Phases[0], recipe.Phases[0] with { Steps = 500, LearningRate = 1e38 }] };
        var message = Assert.Throws<InvalidDataException>(() => _folder.Train(recipe, also: events.Add)).Message;
        Assert.Contains("training has diverged", message, StringComparison.Ordinal);
        Assert.Contains("phases[1].learningRate", message, StringComparison.Ordinal);
        Assert.All(events.OfType<StepDone>().TakeLast(19), done => Assert.False(double.IsFinite(done.GradientNorm)));
        Assert.All(events.OfType<StepDone>().Take(10), done => Assert.True(double.IsFinite(done.GradientNorm)));
        Assert.InRange(events.OfType<StepDone>().Count(), 30, 60);
        Assert.InRange(events.OfType<Saved>().Last().Step, 10, 12);
    }

    [Fact]
    public void A_run_that_ends_without_a_loss_fails_and_told_the_step_before()
    {
        var events = new List<TrainingEvent>();
        var recipe = TrainingFolder.Recipe("phases[0].steps=4");
        recipe = recipe with { Phases = [recipe.Phases[0], recipe.Phases[0] with { Steps = 8, LearningRate = 1e38 }] };
        var message = Assert.Throws<InvalidDataException>(() => _folder.Train(recipe, also: events.Add)).Message;
        Assert.Contains(
            "training has failed: at step 12, the last of phases[1], the loss is not finite", message, StringComparison.Ordinal);
        var lost = Assert.Single(events.OfType<LossNotFinite>());
        Assert.Equal(events.OfType<StepDone>().First(done => !double.IsFinite(done.Loss)).Step, lost.Step);
        Assert.InRange(lost.Step, 5, 8);
        Assert.False(File.Exists(_folder.In("run/model.safetensors")));
    }

    [Fact]
    public void Losses_that_no_phase_weighs_are_offered_and_not_computed()
    {
        var model = TrainingFolder
            .TextRecipe("model.mtpDepth=1", """model.decoder.feedForward.router={"kind":"sigmoid"}""")
            .Model.Build(20, seed: 1);
        using var scope = Arena.Current.Scope();
        var ids = Tensor.From([3, 4, 5, 6, 7, 8], [2, 3]);
        var batch = Batch.Of(ids, ids, Batch.PositionsFromStart(2, 3));
        Assert.Equal(["balance", "sequence-balance", "balance", "sequence-balance", "mtp"], Reported(null));
        Assert.Equal(["mtp"], Reported(new WantedLosses(["mtp"])));
        Assert.Equal(["balance", "mtp", "sequence-balance"],
            model.Modules().SelectMany(named => named.Module.OfferedLosses).Distinct().Order());
        Assert.Equal(["sequence-balance"], Reported(new WantedLosses(["sequence-balance", "none"])));
        Assert.Empty(Reported(new WantedLosses([])));

        string[] Reported(WantedLosses? wanted)
        {
            var step = ForwardContext.At(batch.Positions);
            (step.IsTraining, step.WantedLosses) = (true, wanted);
            model.Loss(batch, step);
            return [.. step.Losses.Select(loss => loss.Name)];
        }
    }
}
