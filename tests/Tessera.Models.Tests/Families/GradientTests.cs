using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

public sealed class GradientTests
{
    public static TheoryData<string> Models => [.. SmallModels.All.Keys, "encoder"];

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_parameter_has_the_gradient_that_differences_of_the_loss_show(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = name == "encoder" ? SmallModels.Encoder.Build(SmallModels.Vocabulary, 3) : SmallModels.Build(name);
        int[][] texts = [[1, .. SmallModels.Text(6, 1), 2], [1, .. SmallModels.Text(3, 2), 2]];
        int[][]? sources = model.ReadsSource ? [SmallModels.Text(5, 3), SmallModels.Text(2, 4)] : null;
        var batch = SmallModels.Batch(sources, [.. texts.Select(text => text[..^1])], [.. texts.Select(text => text[1..])]);
        if (name == "encoder") batch.TokenTypes = Batch.PositionsFromStart(7, 2).Reshape([2, 7]); // both types
        using (var tape = Tape.Record()) tape.Backward(SmallModels.LossOf(model, batch));

        foreach (var (parameterName, parameter) in model.Parameters())
        {
            var gradient = parameter.Value.Gradient.ToArray();
            var norm = Math.Sqrt(gradient.Sum(value => (double)value * value));
            Assert.True(norm > 1e-6, $"{parameterName} has no gradient");

            // Along the gradient the loss grows by its norm; along its largest entry by that entry.
            var direction = gradient.Select(value => (float)(value / norm)).ToArray();
            Expect(parameterName, norm, Slope(parameter, direction));
            var largest = Array.IndexOf(gradient, gradient.MaxBy(Math.Abs));
            Array.Clear(direction);
            direction[largest] = 1;
            Expect($"{parameterName}[{largest}]", gradient[largest], Slope(parameter, direction));
        }

        double Slope(Parameter parameter, float[] direction)
        {
            const float Delta = 0.003f; // small enough that no token is routed elsewhere
            var original = parameter.Value.ToArray();
            var above = Moved(Delta);
            var below = Moved(-Delta);
            original.CopyTo(parameter.Value.Floats);
            return (above - below) / (2 * Delta);

            double Moved(float distance)
            {
                for (var i = 0; i < original.Length; i++) parameter.Value.Floats[i] = original[i] + (distance * direction[i]);
                return SmallModels.Loss(model, batch);
            }
        }

        static void Expect(string what, double gradient, double slope) =>
            Assert.True(
                Math.Abs(gradient - slope) <= (2e-2 * Math.Abs(gradient)) + 1e-4,
                $"{what}: gradient {gradient:G6}, the loss says {slope:G6}");
    }

    [Fact]
    public void Dropout_and_the_balance_loss_reach_the_step_from_encoder_and_decoder()
    {
        using var scope = Arena.Current.Scope();
        var experts = ((DecoderOptions)SmallModels.All["tied decoder with experts"]).Decoder with { Dropout = 0.2f };
        var options = (EncoderDecoderOptions)SmallModels.All["transformer"] with { Encoder = experts, Decoder = experts };
        var model = options.Build(SmallModels.Vocabulary, 1);
        var batch = SmallModels.Batch([[4, 5, 6]], [[1, 7, 8]], [[7, 8, 2]]);
        var step = new ForwardContext { Positions = batch.Positions, IsTraining = true, Random = new CounterRandom(4) };
        var loss = model.Loss(batch, step).Item();
        Assert.Equal(4, step.Losses.Count(part => part.Name == "balance"));
        Assert.Equal(4, step.Losses.Count(part => part.Name == "sequence-balance"));

        Assert.Equal(loss, Again(4));
        Assert.NotEqual(loss, Again(5));
        Assert.NotEqual(loss, SmallModels.Loss(model, batch));

        float Again(ulong seed) =>
            model
                .Loss(
                    batch,
                    new ForwardContext
                    {
                        Positions = batch.Positions,
                        IsTraining = true,
                        Random = new CounterRandom(seed),
                    })
                .Item();
    }
}
