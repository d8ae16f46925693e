using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Tests;

/// <summary>Layers that keep only their input for the way back.</summary>
public sealed class CheckpointingTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("f32", "sigmoid")]
    [InlineData("bf16", "sigmoid")]
    [InlineData("f32", "softmax")]
    public void Checkpointed_training_of_experts_reaches_the_same_bits(string precision, string router)
    {
        // Dropout, losses of parts, a bias that counts loads, packed texts, later tokens.
        Recipe Of(bool checkpointing) => TrainingFolder.TextRecipe(
                $$"""model.decoder.feedForward.router={"kind":"{{router}}"}""",
                "model.mtpDepth=2",
                "model.decoder.layers=2",
                $"phases[0].precision={precision}",
                """phases[0].losses={"mtp":0.3,"sequence-balance":0.01,"balance":0.02}""",
                "phases[0].accumulate=2",
                $"phases[0].checkpointing={(checkpointing ? "true" : "false")}"
            );
        var (whole, checkpointed) = (_folder.Train(Of(false), "whole"), _folder.Train(Of(true), "checkpointed"));
        Assert.Equal(TrainingFolder.Losses(whole), TrainingFolder.Losses(checkpointed));
        Assert.Equal(_folder.Weights("whole"), _folder.Weights("checkpointed"));
    }

    [Fact]
    public void An_encoder_and_its_decoder_are_checkpointed_too()
    {
        Recipe Of(bool checkpointing) => TrainingFolder.Recipe(
                """model.encoder={"kind":"transformer","layers":2,"attention":{"kind":"multi-head","heads":2},"feedForward":{"kind":"experts","routed":4,"active":2,"expert":{"kind":"gelu","hidden":12}},"dropout":0.1}""",
            $"phases[0].checkpointing={(checkpointing ? "true" : "false")}");
        _folder.Train(Of(false), "whole");
        _folder.Train(Of(true), "checkpointed");
        Assert.Equal(_folder.Weights("whole"), _folder.Weights("checkpointed"));
    }

    [Fact]
    public void The_memory_of_a_deep_stack_is_that_of_one_layer_and_the_inputs_of_all()
    {
        var recipe = TrainingFolder.TextRecipe(
            "model.width=32",
            "model.decoder.layers=12",
            """model.decoder.feedForward={"kind":"swiglu","hidden":96}"""
        );
        var model = recipe.Model.Build(64, seed: 1);
        var (whole, checkpointed) = (Peak(false), Peak(true));
        Assert.True(checkpointed < 0.4 * whole, $"{checkpointed} bytes with checkpoints, {whole} without");

        long Peak(bool checkpointing)
        {
            var capacity = 0L;
            var thread = new Thread(() =>
            {
                using var scope = Arena.Current.Scope();
                using var tape = Tape.Record();
                var ids = Tensor.Temporary([8, 256], ElementType.I32);
                for (var i = 0; i < ids.Ints.Length; i++) ids.Ints[i] = i * i % 64;
                var batch = Batch.Of(ids, ids, Batch.PositionsFromStart(8, 256));
                var step = Nn.ForwardContext.At(batch.Positions);
                (step.IsTraining, step.IsCheckpointed) = (true, checkpointing);
                tape.Backward(model.Loss(batch, step));
                capacity = Arena.Current.Capacity;
            });
            thread.Start();
            thread.Join();
            return capacity;
        }
    }
}
