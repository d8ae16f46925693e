using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Tests.Formats;

namespace Tessera.Models.Tests.Families;

/// <summary>What is said of models that no family here reads; the keys are those of the published ones.</summary>
public sealed class ShownPartsTests
{
    public static TheoryData<string, string, string> Configs => new()
    {
        { "mamba", "\"state_size\": 16, \"conv_kernel\": 4, \"expand\": 2, \"time_step_rank\": 48", "there is no part for its mixer (state space)" },
        {
            "jamba", "\"mamba_d_state\": 16, \"num_attention_heads\": 32, \"num_experts\": 16, \"hidden_act\": \"silu\"",
            "there is no part for its mixer (state space)"
        },
        {
            "qwen3_next", "\"linear_num_key_heads\": 16, \"layer_types\": [\"linear_attention\", \"full_attention\"], \"num_attention_heads\": 16",
            "there is no part for its mixer (gated delta rule)"
        },
        { "recurrent_gemma", "\"lru_width\": 2560, \"block_types\": [\"recurrent\", \"attention\"]", "there is no part for its mixer (gated linear recurrence)" },
        { "rwkv", "\"attention_hidden_size\": 768", "there is no part for its mixer (RWKV's time mixing)" },
        { "minimax_text_01", "\"layer_types\": [\"lightning\", \"full_attention\"]", "there is no part for its layers of the kind lightning" },
        {
            "glm4v_moe", "\"vision_config\": { \"depth\": 24 }, \"text_config\": { \"num_attention_heads\": 96, \"hidden_act\": \"xielu\" }",
            "there is no part for its input of images, nor for its activation (xielu)"
        },
        {
            "bloom", "\"n_head\": 16, \"alibi\": true, \"layer_norm_epsilon\": 1e-5, \"state_size\": null",
            "no family here reads it, though there are parts for what it shows: attention of heads, ALiBi, layer norms"
        },
        { "tree", "\"hidden_act\": 3, \"layer_types\": [1], \"state_size\": 0", "its configuration shows no part that is known" },
    };

    [Theory]
    [MemberData(nameof(Configs))]
    public void An_unknown_model_says_which_part_is_missing(string type, string keys, string words)
    {
        var config = HuggingFaceConfig.Parse($"{{ \"model_type\": \"{type}\", {keys} }}", "config.json");
        var message = Assert.Throws<InvalidDataException>(() => Family.Of(config)).Message;
        Assert.StartsWith($"config.json: model_type is {type}: {words}; allowed: gpt2, llama, ", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void An_unknown_architecture_of_GGUF_says_which_part_is_missing()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("model.gguf");
        var writer = new GgufWriter
        {
            Metadata =
            {
                ["general.architecture"] = GgufValue.Of("falcon-h1"), ["falcon-h1.ssm.state_size"] = GgufValue.Of(128u),
                ["falcon-h1.attention.head_count"] = GgufValue.Of(8u), ["falcon-h1.expert_count"] = GgufValue.Of(0u),
            },
        };
        writer.Save(path);
        Assert.Contains(
            "metadata 'general.architecture' is 'falcon-h1': there is no part for its mixer (state space); allowed: ",
            Assert.Throws<InvalidDataException>(() => ModelFolder.Load(path)).Message, StringComparison.Ordinal);
        using var file = GgufFile.Open(path);
        Assert.Equal(
            [("mixer (state space)", false, "ssm.state_size"), ("attention of heads", true, "attention.head_count")],
            ShownParts.Of(file).Select(part => (part.Name, part.Runs, string.Join(", ", part.Keys))));
    }

    [Fact]
    public void Families_that_are_known_show_nothing_that_is_missing()
    {
        foreach (var folder in Directory.GetDirectories(Testing.Fixture.Local("families")))
        {
            var config = HuggingFaceConfig.Load(Path.Combine(folder, "config.json"));
            Assert.True(Family.Knows(config));
            var parts = ShownParts.Of(config);
            Assert.NotEmpty(parts);
            // Of models that see images the part that reads text runs.
            string[] missing = folder.EndsWith("with-images", StringComparison.Ordinal) ? ["input of images"] : [];
            Assert.Equal(missing, parts.Where(part => !part.Runs).Select(part => part.Name));
        }
    }
}
