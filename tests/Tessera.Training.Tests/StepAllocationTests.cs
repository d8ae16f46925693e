using Tessera.Testing;
using Tessera.Training.Tests.Objectives;

namespace Tessera.Training.Tests;

/// <summary>Tests that need the thread team to themselves: they run while no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

/// <summary>Managed memory that steps of training allocate, on all threads that take part, once such steps have been done before.</summary>
[Collection(AloneCollection.Name)]
public sealed class StepAllocationTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("f32")]
    [InlineData("bf16")]
    [InlineData("f16")]
    public void Fifty_steps_of_a_hybrid_with_experts_allocate_nothing(string precision) => AllocatesNothing(TrainingFolder.Recipe(
        $"phases[0].precision={precision}", "phases[0].accumulate=2", "model.encoder.layers=2", "model.encoder.residual=true"));

    [Theory]
    [InlineData("f32")]
    [InlineData("bf16")]
    public void Fifty_steps_of_a_decoder_on_packed_texts_allocate_nothing(string precision) => AllocatesNothing(TrainingFolder.TextRecipe(
                $"phases[0].precision={precision}",
                """model.decoder.feedForward={"kind":"swiglu","hidden":48}""",
                """model.decoder.norm={"kind":"layer"}""",
        "phases[0].losses={}"));

    [Fact]
    public void Fifty_steps_with_balanced_experts_and_later_tokens_allocate_nothing() => AllocatesNothing(TrainingFolder.TextRecipe(
                """model.decoder.feedForward.router={"kind":"sigmoid"}""",
                "model.mtpDepth=2",
                """phases[0].losses={"mtp":0.3,"sequence-balance":0.0001}"""
            )
        );

    [Fact]
    public void Fifty_checkpointed_steps_allocate_nothing() => AllocatesNothing(TrainingFolder.TextRecipe(
                """model.decoder.feedForward.router={"kind":"sigmoid"}""",
                "model.mtpDepth=1",
                "model.decoder.layers=2",
                "phases[0].checkpointing=true",
        """phases[0].losses={"mtp":0.3,"sequence-balance":0.0001}"""));

    [Fact]
    public void Fifty_steps_that_fill_gaps_with_optimizers_by_group_allocate_nothing() => AllocatesNothing(TrainingFolder.TextRecipe(
        """phases[0].objective={"kind":"fill-in-the-middle"}""", """model.decoder.feedForward={"kind":"swiglu","hidden":48}""",
            "phases[0].losses={}",
        """optimizer={"kind":"adamw","rules":[{"pattern":"*norm*","optimizer":{"kind":"nesterov"}}]}"""));

    [Fact]
    public void Fifty_steps_of_span_corruption_allocate_nothing() => AllocatesNothing(TrainingFolder.Recipe(
        """phases[0].objective={"kind":"span-corruption"}""", "tokenizer.vocabulary=380"));

    [Fact]
    public void Fifty_steps_of_masked_tokens_allocate_nothing() => AllocatesNothing(TrainingFolder.Recipe(
        $"model={LabelsTests.Encoder("tokens")}", "phases[0].losses={}"));

    [Fact]
    public void Fifty_steps_of_values_and_of_labels_allocate_nothing()
    {
        var lines = Enumerable
            .Range(0, 60)
            .Select(i => $$"""{"source":"{{new string('a', i % 9)}} b {{i}}","target":"{{i % 3}}","group":"{{i}}"}""");
        File.WriteAllLines(_folder.In("train.jsonl"), lines);
        File.Copy(_folder.In("train.jsonl"), _folder.In("validation.jsonl"), overwrite: true);
        foreach (var head in (string[])["classes", "value"])
        {
            AllocatesNothing(TrainingFolder.Recipe($"model={LabelsTests.Encoder(head)}", "phases[0].losses={}"));
            Directory.Delete(_folder.In("run"), recursive: true);
        }
    }

    private void AllocatesNothing(Recipe recipe)
    {
        var session = TrainingSession.Open(recipe, _folder.Path, new RunFolder(_folder.In("run")), resume: false, default);
        var step = new OptimizerStep(session);
        Run(150); // every length of batch, several epochs
        Assert.Equal(0, TeamAllocation.During(() => Run(50)));

        void Run(int steps)
        {
            for (var i = 0; i < steps; i++)
            {
                step.Run(1e-3);
                session.State.Step++;
                session.State.PhaseStep++;
            }
        }
    }
}
