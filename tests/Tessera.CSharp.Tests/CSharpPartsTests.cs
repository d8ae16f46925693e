using Tessera.CSharp.Corpora;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Text.Corpora;

namespace Tessera.CSharp.Tests;

public sealed class CSharpPartsTests
{
    public CSharpPartsTests() => CSharpParts.Register();

    private static CorpusOptions Read(string json) => RecipeJson.Read<CorpusOptions>(RecipeJson.Parse(json, "test"));

    [Fact]
    public void A_recipe_names_the_corpus_by_its_kind()
    {
        var api = Assert.IsType<ApiPairsOptions>(
            Read("""{ "kind": "api-pairs", "kinds": ["method", "enum-member"], "maximumSourceCharacters": 100, "testFraction": 0.1 }"""));
        Assert.Equal([ApiKind.Method, ApiKind.EnumMember], api.Kinds!);
        Assert.Equal((100, 400, 0.1), (api.MaximumSourceCharacters, api.MaximumTargetCharacters, api.TestFraction));
    }

    [Fact]
    public void Options_survive_being_written_and_read()
    {
        var options = new ApiPairsOptions(PacksFolder: "packs", WithoutType: 0.5) { Seed = 9 };
        var written = RecipeJson.Write<CorpusOptions>(options);
        Assert.Contains("\"kind\": \"api-pairs\"", written, StringComparison.Ordinal);
        Assert.Equal(options, Read(written));
    }

    [Fact]
    public void To_register_again_changes_nothing()
    {
        var before = Parts.Kinds(typeof(CorpusOptions));
        CSharpParts.Register();
        Assert.Equal(before, Parts.Kinds(typeof(CorpusOptions)));
        Assert.Single(before, kind => kind.Name == "api-pairs");
    }

    [Fact]
    public void An_unknown_kind_of_member_is_told_with_its_place()
    {
        var error = Assert.Throws<RecipeException>(() => Read("""{ "kind": "api-pairs", "kinds": ["methods"] }"""));
        Assert.StartsWith("kinds[0]: is \"methods\"; expected one of ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"maximumSourceCharacters\": 0", "data.maximumSourceCharacters must be between 1 and 2147483647, found 0")]
    [InlineData("\"withoutType\": 1.5", "data.withoutType must be between 0 and 1, found 1.5")]
    [InlineData("\"kinds\": []", "data.kinds is empty; leave it out for the usual ones")]
    [InlineData("\"packs\": [\"../secret\"]", "data.packs[0] must be a pack's name such as Microsoft.NETCore.App.Ref, found ../secret")]
    public void An_impossible_option_is_named_with_its_value(string option, string message)
    {
        var options = Read($$"""{ "kind": "api-pairs", {{option}} }""");
        Assert.Equal(message, Assert.Throws<ArgumentException>(() => options.Load(".")).Message);
    }
}
