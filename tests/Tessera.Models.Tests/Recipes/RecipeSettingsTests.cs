using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Models.Tests;

public sealed class RecipeSettingsTests
{
    private const string Recipe =
        """{"name":"a","part":{"kind":"x","heads":4,"inner":{"deep":1}},"phases":[{"minutes":1},{"minutes":2}],"list":[1,2]}""";

    [Theory]
    [InlineData("name=b", """{"name":"b",""")]
    [InlineData("name=3", """{"name":3,""")]
    [InlineData("name=", """{"name":"",""")]
    [InlineData("name=\"3\"", """{"name":"3",""")]
    [InlineData("name=a=b", """{"name":"a=b",""")]
    [InlineData(" name = b ", """{"name":"b",""")]
    [InlineData("name=null", """{"name":null,""")]
    [InlineData("name={\"first\":[1]}", """{"name":{"first":[1]},""")]
    [InlineData("part.heads=8", "\"heads\":8,")]
    [InlineData("part.inner.deep=true", "\"inner\":{\"deep\":true}")]
    [InlineData("part.fresh=1e-3", "\"inner\":{\"deep\":1},\"fresh\":1e-3}")]
    [InlineData("fresh.way.here=1", "\"fresh\":{\"way\":{\"here\":1}}}")]
    [InlineData("phases[1].minutes=9", "\"phases\":[{\"minutes\":1},{\"minutes\":9}]")]
    [InlineData("phases[0].name=base", "\"phases\":[{\"minutes\":1,\"name\":\"base\"},{\"minutes\":2}]")]
    [InlineData("list[0]=7", "\"list\":[7,2]")]
    [InlineData("part.kind=x", "\"part\":{\"kind\":\"x\",\"heads\":4,\"inner\":{\"deep\":1}}")]
    public void A_setting_changes_what_its_path_names(string setting, string shows)
    {
        var recipe = JsonNode.Parse(Recipe)!.AsObject();
        Assert.Empty(RecipeSettings.Apply<object>(recipe, setting)); // of no known record
        Assert.Contains(shows, recipe.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_are_made_one_after_the_other()
    {
        var recipe = JsonNode.Parse(Recipe)!.AsObject();
        RecipeSettings.Apply<object>(recipe, "fresh={}", "fresh.way=1", "fresh.way=2", "list[1]=3", "name=b", "name=c");
        Assert.Equal(
            """{"name":"c","part":{"kind":"x","heads":4,"inner":{"deep":1}},"phases":[{"minutes":1},{"minutes":2}],"list":[1,3],"fresh":{"way":2}}""",
            recipe.ToJsonString()
        );
    }

    [Fact]
    public void A_setting_that_cannot_be_made_leaves_all_as_it_was()
    {
        var recipe = JsonNode.Parse(Recipe)!.AsObject();
        Assert.Throws<RecipeException>(() => RecipeSettings.Apply<object>(recipe, "name=b", "list[0]=9", "phases[2].minutes=1"));
        Assert.Equal(Recipe, recipe.ToJsonString());
    }

    [Theory]
    [InlineData("name", "--set name: is not of the form path=value")]
    [InlineData("=3", "--set =3: is not of the form path=value")]
    [InlineData("name.inner=3", "name.inner: leads nowhere: there is no 'inner'")]
    [InlineData("phases[2].minutes=3", "phases[2].minutes: leads nowhere: there is no '2'")]
    [InlineData("phases[-1].minutes=3", "phases[-1].minutes: leads nowhere: there is no '-1'")]
    [InlineData("list[2]=3", "list[2]: leads nowhere: there is no '2'")]
    [InlineData("phases.minutes=3", "phases.minutes: leads nowhere: there is no 'minutes'")]
    [InlineData("[0]=3", "[0]: leads nowhere: there is no ''")]
    [InlineData("part..heads=3", "part..heads: leads nowhere: there is no ''")]
    public void A_path_that_leads_nowhere_is_refused(string setting, string message)
    {
        var recipe = JsonNode.Parse(Recipe)!.AsObject();
        Assert.Equal(message, Assert.Throws<RecipeException>(() => RecipeSettings.Apply<object>(recipe, setting)).Message);
    }

    [Fact]
    public void What_was_set_is_checked_as_what_was_written()
    {
        var recipe = RecipeErrorTests.Changed("\"width\": 8", "\"width\": 8");
        RecipeSettings.Apply<ModelConfig>(recipe, "model.decoder.attention.heads=many");
        var error = Assert.Throws<RecipeException>(() => RecipeJson.Read<ModelConfig>(recipe));
        Assert.Equal("model.decoder.attention.heads: is \"many\"; expected a whole number", error.Message);
    }

    [Fact]
    public void A_key_that_appears_twice_is_found_when_something_is_set_too()
    {
        var error = Assert.Throws<RecipeException>(() =>
        {
            var recipe = RecipeErrorTests.Changed("\"width\": 8", "\"width\": 8, \"width\": 9");
            RecipeSettings.Apply<ModelConfig>(recipe, "model.tieEmbeddings=true");
            RecipeJson.Read<ModelConfig>(recipe);
        });
        Assert.Equal("model.width: appears twice", error.Message);
    }
}
