using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Text.Corpora;

namespace Tessera.Models.Tests;

public sealed class MovedKindTests
{
    [Theory]
    [InlineData(
        """{ "kind": "api-pairs" }""",
        "kind: is \"api-pairs\", a kind of Tessera.CSharp; call CSharpParts.Register() before a recipe is read"
    )]
    [InlineData("""{ "kind": "api-pair" }""", "kind: is \"api-pair\"; allowed: parallel-files, jsonl, text, chat")]
    public void A_kind_that_another_assembly_has_now_says_how_to_have_it(string corpus, string message) =>
        Assert.Equal(
            message, Assert.Throws<RecipeException>(() => RecipeJson.Read<CorpusOptions>(RecipeJson.Parse(corpus, "test"))).Message);
}
