using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Testing;

namespace Tessera.Models.Tests.Families;

/// <summary>A config.json may say anything: it is a model, or one error.</summary>
public sealed class ConfigFromStrangersTests
{
    private const int Mutations = 2000;

    private static readonly string[] s_values =
    [
        "null",
        "0",
        "1",
        "-1",
        "2",
        "3",
        "7",
        "2147483647",
        "4294967296",
        "1e308",
        "-1e-300",
        "0.5",
        "true",
        "\"silu\"",
        "\"\"",
        "[]",
        "[1]",
        "[\"full_attention\"]",
        "{}",
        "{ \"rope_type\": \"yarn\" }",
    ];

    [Fact]
    public void Any_change_gives_a_model_or_says_what_is_wrong()
    {
        var random = new Random(5);
        var sources = Directory
            .GetDirectories(Fixture.Local("families"))
            .Select(folder => File.ReadAllText(Path.Combine(folder, "config.json")))
            .ToArray();
        var built = 0;
        for (var mutation = 0; mutation < Mutations; mutation++)
        {
            var json = JsonNode.Parse(sources[mutation % sources.Length])!.AsObject();
            for (var change = random.Next(1, 4); change > 0; change--) Mutate(json, random);
            var text = json.ToJsonString();
            try
            {
                var config = HuggingFaceConfig.Parse(text, "config.json");
                var family = Family.Of(config);
                var options = family.ReadConfig(config);
                options.Build(config.Whole("vocab_size"), seed: 0);
                Assert.NotEmpty(family.Names(options).Layouts);
                built++;
            }
            catch (Exception error) when (error is InvalidDataException or RecipeException)
            {
                Assert.NotEmpty(error.Message);
            }
        }

        Assert.InRange(built, Mutations / 10, Mutations * 9 / 10);
    }

    private static void Mutate(JsonObject json, Random random)
    {
        var keys = json.Select(member => member.Key).ToArray();
        if (keys.Length == 0) return;
        var key = keys[random.Next(keys.Length)];
        if (json[key] is JsonObject inner && random.Next(3) > 0) Mutate(inner, random);
        else if (random.Next(5) == 0) json.Remove(key);
        else json[key] = JsonNode.Parse(s_values[random.Next(s_values.Length)]);
    }
}
