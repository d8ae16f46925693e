using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Tests.Data;

namespace Tessera.Training.Tests.Objectives;

/// <summary>What recipes say of objectives, and what those do that models learn unless told otherwise.</summary>
public sealed class ObjectiveTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_phase_that_names_what_its_model_learns_anyway_reaches_the_same_bits()
    {
        _folder.Train(TrainingFolder.Recipe(), "unsaid");
        _folder.Train(TrainingFolder.Recipe("""phases[0].objective={"kind":"pairs"}""", "phases[0].length=32",
            "phases[0].sourceLength=32"), "said");
        Assert.Equal(_folder.Weights("unsaid"), _folder.Weights("said"));
        _folder.Train(TrainingFolder.TextRecipe(), "text");
        foreach (var kind in (string[])["next-token", "pairs"])
        {
            _folder.Train(TrainingFolder.TextRecipe($$"""phases[0].objective={"kind":"{{kind}}"}"""), kind);
            Assert.Equal(_folder.Weights("text"), _folder.Weights(kind));
        }
    }

    [Fact]
    public void The_next_token_may_be_that_of_a_source_too()
    {
        var data = ByteTokens.Prepare(new NextTokenOptions(PredictSource: true), [new Example("ab", "xy", "g")],
            new BatchOptions { Length = 8, Tokens = 8 });
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        Assert.Equal([1, .. ByteTokens.Of("ab\nxy"), 0, 0], batch.Inputs.Ints.ToArray());
        Assert.Equal([.. ByteTokens.Of("ab\nxy"), 2, -1, -1], batch.Targets.Ints.ToArray());
    }

    [Theory]
    [InlineData("fill-in-the-middle", "<fim_middle>", false)]
    [InlineData("span-corruption", "<extra_id_7>", true)]
    public void A_tokenizer_that_is_trained_gets_the_tokens_that_mark_places_and_the_loss_goes_down(
        string kind, string token, bool readsSource)
    {
        string[] settings =
        [
            $$"""phases[0].objective={"kind":"{{kind}}"}""", "phases[0].steps=80", "tokenizer.vocabulary=380", "validation.everySteps=40",
        ];
        var events = _folder.Train(readsSource ? TrainingFolder.Recipe(settings) : TrainingFolder.TextRecipe(settings));
        var losses = TrainingFolder.Losses(events);
        Assert.True(losses[^10..].Average() < 0.8 * losses[0], $"from {losses[0]} to {losses[^1]}");
        Assert.All(events.OfType<Validated>(), validated => Assert.InRange(validated.Loss, 0.1, losses[0]));
        var loaded = ModelFolder.Load(_folder.In("run"));
        Assert.NotNull(loaded.Tokenizer.Find(token));
        // What a text holds is not read as such a token.
        Assert.DoesNotContain(loaded.Tokenizer.Find(token)!.Value, loaded.PromptFormat.EncodePrompt(loaded.Tokenizer, token));
    }

    [Theory]
    [InlineData("""{"kind":"fill-in-the-middle"}""", true,
        "kind: is fill-in-the-middle; allowed for a model that reads a source: pairs, span-corruption")]
    [InlineData("""{"kind":"next-token"}""", true, "kind: is next-token; allowed for a model that reads a source: pairs, span-corruption")]
    [InlineData("""{"kind":"span-corruption"}""", false,
        "kind: is span-corruption; allowed for a model that goes on with a text: next-token, pairs, fill-in-the-middle")]
    [InlineData("""{"kind":"fill-in-the-middle","rate":1.5}""", false, "rate: is 1.5; allowed: 0 to 1")]
    [InlineData("""{"kind":"fill-in-the-middle","suffix":"<fim_prefix>"}""", false,
        "prefix: is '<fim_prefix>'; allowed: a text of its own, different from the other tokens that mark places")]
    [InlineData("""{"kind":"span-corruption","density":0.6}""", true, "density: is 0.6; allowed: above 0, at most 0.5")]
    [InlineData("""{"kind":"span-corruption","spanLength":0.5}""", true, "spanLength: is 0.5; allowed: at least 1")]
    [InlineData("""{"kind":"span-corruption","maxSpans":0}""", true, "maxSpans: is 0; allowed: 1 to 1000")]
    [InlineData("""{"kind":"span-corruption","sentinel":"<gap>"}""", true,
        "sentinel: is '<gap>'; allowed: a text with #, which stands for a number")]
    public void What_a_phase_cannot_learn_is_refused_with_its_place(string objective, bool readsSource, string message)
    {
        string[] settings = [$"phases[0].objective={objective}", "tokenizer.vocabulary=400"];
        Assert.Equal(
            $"phases[0].objective.{message}",
            Assert.Throws<RecipeException>(() =>
                _folder.Train(readsSource ? TrainingFolder.Recipe(settings) : TrainingFolder.TextRecipe(settings))).Message);
        Assert.False(Directory.Exists(_folder.In("run")));
    }

    [Fact]
    public void A_tokenizer_without_the_tokens_that_mark_places_is_refused_and_one_with_them_is_taken()
    {
        string[] settings = ["""phases[0].objective={"kind":"fill-in-the-middle","middle":"<gap>"}""", "tokenizer.file=bytes.json",
            "phases[0].steps=2"];
        ByteTokens.With("<fim_prefix>", "<fim_suffix>").Save(_folder.In("bytes.json"));
        Assert.Equal(
            "phases[0].objective.middle: names '<gap>', which is no token of the tokenizer; allowed: tokens that it has",
            Assert.Throws<RecipeException>(() => _folder.Train(TrainingFolder.TextRecipe(settings))).Message);
        Assert.Contains("'<gap>'", Assert.Throws<RecipeException>(() =>
            RunPlan.Of(TrainingFolder.TextRecipe(settings), _folder.Path)).Message, StringComparison.Ordinal);
        ByteTokens.With("<fim_prefix>", "<fim_suffix>", "<gap>").Save(_folder.In("bytes.json"));
        Assert.Equal(2, _folder.Train(TrainingFolder.TextRecipe(settings)).OfType<StepDone>().Count());
        var json = JsonNode.Parse(TrainingFolder.TextRecipe(settings).ToJson())!.AsObject();
        json.Remove("model");
        json.Remove("tokenizer");
        var recipe = Recipe.Read(json, [$"start={_folder.In("run")}", "phases[0].objective.middle=<other>"]);
        Assert.Contains("names '<other>'", Assert.Throws<RecipeException>(() => _folder.Train(recipe, "next")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Pairs_need_sources_and_special_tokens_need_room()
    {
        File.WriteAllText(_folder.In("text.txt"), "a text alone");
        const string Text = """data={"kind":"text","path":"text.txt","validationFraction":0,"testFraction":0}""";
        Assert.StartsWith(
            "data: pairs need a source, but the corpus has texts without one; use a corpus of pairs, or \"objective\"",
            Assert.Throws<InvalidDataException>(() => _folder.Train(TrainingFolder.TextRecipe(Text,
                """phases[0].objective={"kind":"pairs"}"""))).Message, StringComparison.Ordinal);
        Assert.Equal(
            "tokenizer.vocabulary: is 280; allowed: at least 360, the bytes and 103 special tokens",
            Assert.Throws<RecipeException>(() => TrainingFolder.Recipe("""phases[0].objective={"kind":"span-corruption"}""")).Message);
        Assert.Equal(
            "phases[0].length: is 12; allowed: at least 16, for what the objective makes of a text",
            Assert.Throws<RecipeException>(() => _folder.Train(
                TrainingFolder.TextRecipe("""phases[0].objective={"kind":"fill-in-the-middle"}""", "phases[0].length=12"))).Message);
    }

    [Fact]
    public void A_recipe_reads_back_as_it_was_written()
    {
        var recipe = TrainingFolder.TextRecipe(
            """phases[0].objective={"kind":"fill-in-the-middle","rate":0.9}""",
            """phases[0].length={"from":16,"to":30,"schedule":"square-root"}""", "phases[0].sourceLength=7");
        var again = Recipe.Read(RecipeJson.Parse(recipe.ToJson(), "again"));
        Assert.Equal((recipe.Phases[0].Objective, recipe.Phases[0].Length, recipe.Phases[0].SourceLength),
            (again.Phases[0].Objective, again.Phases[0].Length, again.Phases[0].SourceLength));
        Assert.Contains("\"sourceLength\": 7", recipe.ToJson(), StringComparison.Ordinal);
    }
}
