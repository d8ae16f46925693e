using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Heads;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Tests.Data;

namespace Tessera.Training.Tests.Objectives;

/// <summary>Encoders and other models that learn labels and numbers.</summary>
public sealed class LabelsTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A small encoder in the manner of BERT.</summary>
    public static string Encoder(string head) => $$"""
        { "kind": "encoder", "width": 16, "position": { "kind": "learned", "positions": 128 }, "tokenTypes": 2,
          "embeddingNorm": "layer", "head": "{{head}}",
          "encoder": { "layers": 1, "attention": { "kind": "multi-head", "heads": 2 },
                       "feedForward": { "kind": "gelu", "hidden": 32 }, "kind": "transformer" } }
        """;

    [Theory]
    [InlineData("classes")]
    [InlineData("tags")]
    [InlineData("value")]
    public void An_encoder_learns_what_targets_say_of_sources(string head)
    {
        Write(head);
        var events = _folder.Train(Recipe(Encoder(head)));
        var losses = TrainingFolder.Losses(events);
        Assert.True(losses[^20..].Average() < 0.1 * losses[..5].Average(), $"{head}: from {losses[0]} to {losses[^1]}");
        Assert.InRange(events.OfType<Validated>().Last().Loss, 0, 0.2 * losses[..5].Average());

        var loaded = ModelFolder.Load(_folder.In("run"));
        string[] expected = head switch { "classes" => ["bad", "good"], "tags" => ["B", "O"], _ => [] };
        Assert.Equal(expected, loaded.Model.Head.Labels);
        Assert.Equal("labels", Parts.KindOf(ObjectiveOptions.For(loaded.Model).GetType()));
    }

    [Fact]
    public void A_decoder_with_a_head_of_classes_learns_them_too()
    {
        Write("classes");
        var losses = TrainingFolder.Losses(_folder.Train(Recipe("""
            { "kind": "decoder", "width": 16, "head": "classes",
              "decoder": { "layers": 1, "attention": { "kind": "multi-head", "heads": 2 },
                           "feedForward": { "kind": "gelu", "hidden": 32 } } }
            """)));
        Assert.True(losses[^20..].Average() < 0.1 * losses[..5].Average(), $"from {losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void An_encoder_with_a_head_of_tokens_learns_masked_ones_where_nobody_says_what()
    {
        var events = _folder.Train(Recipe(Encoder("tokens"), "phases[0].steps=120"));
        var losses = TrainingFolder.Losses(events);
        Assert.True(losses[^20..].Average() < 0.8 * losses[..5].Average(), $"from {losses[0]} to {losses[^1]}");
        Assert.NotNull(ModelFolder.Load(_folder.In("run")).Tokenizer.Find("<mask>"));
    }

    [Fact]
    public void Words_have_their_label_at_their_first_token_and_what_is_cut_off_has_none()
    {
        var data = Prepare(new TagsHeadOptions { Labels = ["x", "y"] }, [new("ab c def", "x y x", "1"), new("g hi", "y y", "2")], 7);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        Assert.Equal([.. (int[])[1], .. ByteTokens.Of("g hi"), 2, 0, 1, .. ByteTokens.Of("ab c "), 2], batch.Inputs.Ints.ToArray());
        Assert.Equal([-1, 1, 1, -1, -1, -1, -1, -1, 0, -1, 1, -1, 0, -1], batch.Targets.Ints.ToArray());
        Assert.Equal([6, 7], batch.Lengths!.Ints.ToArray());
        Assert.Equal((5, 13), (batch.TargetTokens, batch.Tokens));
    }

    [Theory]
    [InlineData("classes", "pretty", "data: the target 'pretty' is no label of the model; allowed: x, y")]
    [InlineData("value", "pretty", "data: the target 'pretty' is no number, which the model's head gives")]
    [InlineData("tags", "x", "data: 'two words' has 2 words, but 'x' is 1 targets; each word needs one")]
    public void Targets_that_say_nothing_the_head_knows_are_named(string kind, string target, string message)
    {
        HeadOptions head = kind switch
        {
            "classes" => new ClassesHeadOptions { Labels = ["x", "y"] },
            "tags" => new TagsHeadOptions { Labels = ["x", "y"] },
            _ => new ValueHeadOptions(),
        };
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => Prepare(head, [new("two words", target, "1")], 16)).Message);
    }

    [Fact]
    public void What_an_encoder_cannot_do_is_said_in_one_line()
    {
        Write("classes");
        Assert.Equal(
            "phases[0].objective.kind: is next-token; allowed for a model like this (it is an encoder with a head of classes): labels",
            Assert.Throws<RecipeException>(
                () => _folder.Train(Recipe(Encoder("classes"), """phases[0].objective={"kind":"next-token"}"""))).Message);
        var model = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(Encoder("tokens"), "test")).Build(260, 1);
        Assert.Equal(
            "this model generates no text: it is an encoder with a head of tokens",
            Assert.Throws<InvalidOperationException>(() => new DecodingSession(model)).Message);
        Assert.Equal(0, ModelSummary.Of(model, 64).CacheBytes);
        Assert.Equal(128, model.LongestSequence);
    }

    [Fact]
    public void Padding_does_not_change_what_an_encoder_says()
    {
        using var scope = Arena.Current.Scope();
        foreach (var head in (string[])["classes", "tags", "value", "spans", "tokens"])
        {
            var model = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(Encoder(head), "test")).Build(260, 1);
            var (alone, padded) = (Logits(model, [5, 6, 7], 3), Logits(model, [5, 6, 7, 0, 0, 0], 3));
            for (var i = 0; i < alone.Length; i++) Assert.Equal(alone[i], padded[i], 1e-5f);
        }

        static float[] Logits(SequenceModel model, int[] ids, int length)
        {
            var batch = new Batch
            {
                Inputs = Tensor.From(ids, [1, ids.Length]), Targets = Tensor.From(ids, [1, ids.Length]),
                Positions = Batch.PositionsFromStart(1, ids.Length),
                Lengths = Tensor.From(new[] { length }, [1]), TargetTokens = 1, Tokens = 3,
            };
            return model.Logits(batch, batch.Context()).ToArray();
        }
    }

    private static Dataset Prepare(HeadOptions head, Example[] examples, int length)
    {
        var model = (RecipeJson.Read<ModelOptions>(RecipeJson.Parse(Encoder("classes"), "test")) with { Head = head }).Build(260, 1);
        return new LabelsOptions().Build(new ObjectiveContext(model, ByteTokens.Tokenizer, PromptFormat.Own))
            .Prepare(examples, new BatchOptions { Length = length });
    }

    /// <summary>Sources of four words, some of which say what the target is.</summary>
    private void Write(string head)
    {
        string[] words = ["red", "green", "blue", "one", "two", "three", "fine", "north"];
        foreach (var (file, count, seed) in new[] { ("train.jsonl", 160, 1UL), ("validation.jsonl", 20, 2UL) })
        {
            var random = new CounterRandom(seed);
            File.WriteAllLines(_folder.In(file), Enumerable.Range(0, count).Select(i =>
            {
                string[] source = [.. Enumerable.Range(0, 4).Select(k => words[random.Below(6, (ulong)((8 * i) + k))])];
                var isGood = i % 2 == 0;
                source[random.Below(4, (ulong)((8 * i) + 5))] = isGood ? "fine" : "north";
                var target = head switch
                {
                    "classes" => isGood ? "good" : "bad",
                    "tags" => string.Join(' ', source.Select(word => word is "fine" or "north" ? "B" : "O")),
                    _ => isGood ? "1.5" : "-0.5",
                };
                return $$"""{"source":"{{string.Join(' ', source)}}","target":"{{target}}","group":"{{i}}"}""";
            }));
        }
    }

    private static Recipe Recipe(string model, params string[] settings) => TrainingFolder.Recipe(
        [
            $"model={model}", "batches.tokens=256", "phases[0].steps=200", "phases[0].losses={}", "validation.everySteps=100",
            "tokenizer.vocabulary=290", .. settings,
        ]);
}
