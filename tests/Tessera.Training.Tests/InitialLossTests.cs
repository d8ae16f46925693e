using System.Globalization;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Tensors;

namespace Tessera.Training.Tests;

/// <summary>An untrained model knows nothing: its loss is that of guessing.</summary>
public sealed class InitialLossTests
{
    private const int Vocabulary = 4096;

    [Theory]
    [InlineData(64, null)]
    [InlineData(256, null)] // embeddings scaled by 16, which started at 14.4
    [InlineData(1024, null)]
    [InlineData(256, 12f)]
    public void A_tied_model_with_scaled_embeddings_starts_at_the_loss_of_guessing(int width, float? scale)
    {
        var model = Model(width, scale, tied: true);
        using var scope = Arena.Current.Scope();
        var random = new Random(1);
        var ids = Enumerable.Range(0, 129).Select(_ => random.Next(Vocabulary)).ToArray();
        var (inputs, targets) = (Tensor.From(ids[..^1], [1, 128]), Tensor.From(ids[1..], [1, 128]));
        var batch = Batch.Of(inputs, targets, Batch.PositionsFromStart(1, 128));
        Assert.Equal(Math.Log(Vocabulary), model.Loss(batch, batch.Context()).Item(), 0.1);
    }

    [Theory]
    [InlineData(null, true, 1 / 64.0)] // 1/width
    [InlineData(12f, true, 1 / 96.0)]
    [InlineData(1f, true, 1 / 8.0)]
    [InlineData(0.5f, true, 1 / 8.0)]
    [InlineData(null, false, 1 / 8.0)]
    [InlineData(12f, false, 1 / 8.0)]
    public void Only_tables_that_give_logits_and_are_scaled_start_smaller(float? scale, bool tied, double deviation)
    {
        var table = Model(64, scale, tied).Parameters().First(own => own.Name == "embed_tokens.weight").Parameter.Value.ToArray();
        Assert.Equal(deviation, Math.Sqrt(table.Average(value => (double)value * value)), 0.01 * deviation);
    }

    private static SequenceModel Model(int width, float? scale, bool tied) => RecipeJson.Read<DecoderOptions>(RecipeJson.Parse($$"""
        { "width": {{width}}, "tieEmbeddings": {{(tied ? "true" : "false")}},
          {{(scale is { } factor ? string.Create(CultureInfo.InvariantCulture, $"\"embeddingScale\": {factor},") : "")}}
          "decoder": { "layers": 2, "attention": { "kind": "multi-head", "heads": 4, "position": { "kind": "rotary" } },
                       "feedForward": { "kind": "swiglu", "hidden": 128 } } }
        """, "model")).Build(Vocabulary, seed: 3);
}
