using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests.Data;

/// <summary>Several documents in a row teach a model what each teaches it alone.</summary>
public sealed class PackedLearningTests
{
    private const string Latent =
        """{"kind":"latent","heads":2,"kvLoraRank":6,"nopeHeadDim":4,"ropeHeadDim":4,"vHeadDim":4,"qLoraRank":5}""";
    private const string Window = """{"kind":"sliding-window","window":3,"heads":2,"sinks":true,"position":{"kind":"rotary"}}""";
    private const string Buckets = """{"kind":"multi-head","heads":2,"keyValueHeads":1,"position":{"kind":"relative-bias"}}""";

    private static readonly string[] s_documents = ["packed", "in", "one row", "of a batch"];

    [Theory]
    [InlineData(Latent, "sigmoid", "rms")]
    [InlineData(Window, "softmax", "rms")]
    [InlineData(Buckets, "two-stage", "layer")]
    public void A_packed_row_has_the_loss_and_the_gradients_of_its_documents_apart(string attention, string router, string norm)
    {
        var model = TrainingFolder.TextRecipe(
                $"model.decoder.attention={attention}",
                $$"""model.decoder.feedForward.router={"kind":"{{router}}"}""",
                $$"""model.decoder.norm={"kind":"{{norm}}"}""",
                "model.decoder.layers=2",
                "model.decoder.position={\"kind\":\"learned\",\"positions\":64}",
                "model.mtpDepth=1",
                "model.decoder.dropout=0"
            )
            .Model.Build(ByteTokens.Tokenizer.VocabularySize, seed: 5);
        // The next token counts each target alike; of later tokens there are as many fewer a document.
        foreach (var later in (bool[])[false, true])
        {
            var packed = Learn(model, s_documents, later, weight: 1);
            var apart = new Dictionary<string, double[]>();
            var (loss, targets) = (0.0, s_documents.Sum(Targets));
            foreach (var document in s_documents)
            {
                var alone = Learn(model, [document], later, (float)(Targets(document) / targets));
                loss += alone.Loss * Targets(document) / targets;
                foreach (var (name, gradient) in alone.Gradients)
                    apart[name] =
                    [
                        .. gradient.Select((value, index) => value + apart.GetValueOrDefault(name, new double[gradient.Length])[index])];
            }

            Assert.Equal(loss, packed.Loss, 2e-6 * loss);
            foreach (var (name, gradient) in packed.Gradients)
            {
                var largest = Math.Max(1e-12, apart[name].Max(Math.Abs));
                for (var i = 0; i < gradient.Length; i++)
                    Assert.True(
                        Math.Abs(gradient[i] - apart[name][i]) <= 2e-5 * largest,
                        $"{name}[{i}]: {gradient[i]} and {apart[name][i]}, the largest {largest}");
            }

            double Targets(string document) => ByteTokens.Of(document).Length + 1 - (later ? 1 : 0);
        }
    }

    private static (double Loss, Dictionary<string, double[]> Gradients) Learn(
        SequenceModel model, string[] documents, bool later, float weight)
    {
        var data = ByteTokens.Prepare(new NextTokenOptions(), [.. documents.Select(text => new Example(null, text, text))],
            new BatchOptions { Length = 40, Tokens = 40 });
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var batch = Assert.Single(data.InOrder(9));
        var step = ForwardContext.At(batch.Positions);
        (step.Segments, step.IsTraining, step.WantedLosses) = (batch.Segments, true, new WantedLosses(["mtp"]));
        foreach (var (_, parameter) in model.Parameters()) parameter.Value.ClearGradient();
        var next = model.Loss(batch, step);
        var loss = later ? step.Losses.Single().Loss : next;
        tape.Backward(loss, weight);
        return (loss.Item(), model.Parameters().Where(own => own.Parameter.IsTrained).ToDictionary(
                    own => own.Name,
                    own =>
                        (
                            own.Parameter.Value.Gradient is { IsEmpty: false } gradient
                                ? gradient.ToArray()
                                : new float[own.Parameter.Shape.Count])
                            .Select(value => (double)value)
                            .ToArray()));
    }
}
