using System.Text.Json.Nodes;
using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Tests.Formats;
using Tessera.Testing;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Tests;

/// <summary>How models are prompted: those trained here, and those of folders of the hub.</summary>
public sealed class PromptFormatTests
{
    private static readonly BytePairTokenizer s_tokenizer = BytePairTrainer.Train(
        ["the cat", "the dog"], new BytePairTrainerOptions(270, SpecialTokens: ["<pad>", "<s>", "</s>", "<turn>"]));

    [Fact]
    public void Models_trained_here_begin_their_texts_and_know_no_special_tokens_in_them()
    {
        var ids = PromptFormat.Own.EncodePrompt(s_tokenizer, "the </s>");
        Assert.Equal([SpecialTokens.Begin, .. s_tokenizer.EncodeOrdinary("the </s>")], ids);
        Assert.DoesNotContain(SpecialTokens.End, ids);
        Assert.Equal([SpecialTokens.End], PromptFormat.Own.StopTokens);
        Assert.Equal([SpecialTokens.Begin], PromptFormat.Own.Opening(s_tokenizer));
        Assert.Equal("this model has no chat template",
            Assert.Throws<ArgumentException>(() => PromptFormat.Own.EncodeChat(s_tokenizer, "the")).Message);
    }

    [Fact]
    public void Texts_and_pairs_are_learned_as_prompts_begin()
    {
        var own = PromptFormat.Own;
        int[] Ids(string text) => s_tokenizer.EncodeOrdinary(text);
        var text = own.EncodeText(s_tokenizer, "the </s>");
        Assert.Equal([1, .. Ids("the </s>"), 2], text.Ids);
        Assert.Equal(own.EncodePrompt(s_tokenizer, "the </s>"), text.Ids[..^1]);
        Assert.Equal(1, text.TargetStart);
        var pair = own.EncodePair(s_tokenizer, "the cat", "the dog");
        Assert.Equal([1, .. Ids("the cat\n"), .. Ids("the dog"), 2], pair.Ids);
        Assert.Equal(1 + Ids("the cat\n").Length, pair.TargetStart);
        pair = (own with { Separator = " " }).EncodePair(s_tokenizer, "the cat", "the dog");
        Assert.Equal([1, .. Ids("the cat "), .. Ids("the dog"), 2], pair.Ids);
        Assert.Equal([.. Ids("the cat"), 2], own.EncodeSource(s_tokenizer, "the cat"));
        Assert.Equal([.. Ids("the cat").AsSpan(0, 1), 2], own.EncodeSource(s_tokenizer, "the cat", maxLength: 2));
        Assert.Equal([1, .. Ids("the dog"), 2], own.EncodeTarget(s_tokenizer, "the dog"));
        Assert.Equal([1], own.TargetOpening());

        var bare = new PromptFormat();
        Assert.Equal(Ids("the"), bare.EncodeText(s_tokenizer, "the").Ids);
        Assert.Equal(Ids("the"), bare.EncodeSource(s_tokenizer, "the"));
        Assert.Null(bare.EosToken);
        Assert.Throws<InvalidOperationException>(() => bare.EncodeTarget(s_tokenizer, "the"));
    }

    [Fact]
    public void A_model_that_learned_pairs_is_prompted_with_a_source_and_its_separator_once()
    {
        var pairs = PromptFormat.Own with { ReadsPairs = true };
        int[] Ids(string text) => [1, .. s_tokenizer.EncodeOrdinary(text)];
        Assert.Equal(Ids("the cat\n"), pairs.EncodePrompt(s_tokenizer, "the cat"));
        Assert.Equal(Ids("the cat\n"), pairs.EncodePrompt(s_tokenizer, "the cat\n"));
        var learned = pairs.EncodePair(s_tokenizer, "the cat\n", "the dog");
        Assert.Equal(Ids("the cat\n"), learned.Ids[..learned.TargetStart]);
        Assert.Equal([1], pairs.Opening(s_tokenizer));
        Assert.Equal(Ids("the cat"), pairs.EncodeText(s_tokenizer, "the cat").Ids[..^1]);
    }

    private const string Conversation = """
        {"messages": [{"role": "user", "content": "cat"}, {"role": "assistant", "content": "dog"},
                      {"role": "user", "content": "the"}, {"role": "assistant", "content": "the cat"}]}
        """;

    // Ends are either the stop token, or what the next turn or the end of all is known by.
    [Theory]
    [InlineData("{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}", "dog</s>|the cat</s>")]
    [InlineData("{% for m in messages %}<turn>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<turn>{% endif %}", "dog|the cat</s>")]
    [InlineData("{% for m in messages %}{% if m.role == 'user' %}the {{ m.content }}{% else %}{% generation %}{{ m.content }}</s>{% endgeneration %}{% endif %}{% endfor %}", "dog</s>|the cat</s>")]
    // An answer that is followed by others is written without the thought before it, and generation would begin with one.
    [InlineData("{% for m in messages %}<s>{{ m.role }}\n{% if loop.last and m.role == 'assistant' %}<turn>{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}", "dog</s>|<turn>the cat</s>")]
    public void Of_a_conversation_what_the_assistant_says_is_predicted_with_what_ends_it(string template, string answers)
    {
        var format = PromptFormat.Own with { ChatTemplate = ChatTemplate.Parse(template) };
        var learned = format.EncodeConversation(s_tokenizer, Conversation);
        var predicted = learned.Ids.Select((id, place) => learned.IsPredicted![place] ? s_tokenizer.TokenText(id) : "|");
        var said = string.Concat(predicted).Replace("Ġ", " ", StringComparison.Ordinal).Split('|', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(answers.Split('|'), said);
        Assert.Equal(Array.IndexOf(learned.IsPredicted!, true), learned.TargetStart);
        // What stands before the first answer is what generation would be given.
        var asked = format.EncodeChat(s_tokenizer, "cat");
        if (template.Contains("add_generation_prompt", StringComparison.Ordinal)) Assert.Equal(asked, learned.Ids[..learned.TargetStart]);
    }

    [Theory]
    [InlineData("{% for m in messages %}{{ loop.length }}{{ m.content }}{% endfor %}", "writes messages otherwise when others follow")]
    [InlineData("{{ raise_exception('no roles') }}", "the chat template refuses a conversation")]
    public void A_template_that_does_not_show_what_the_assistant_says_is_refused(string template, string problem)
    {
        var format = PromptFormat.Own with { ChatTemplate = ChatTemplate.Parse(template) };
        var error = Assert.Throws<InvalidDataException>(() => format.EncodeConversation(s_tokenizer, Conversation));
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_conversation_is_written_by_the_template_with_variables_of_its_own_first()
    {
        var format = new PromptFormat
        {
            ChatTemplate = ChatTemplate.Parse("{{ begin }}{% for m in messages %}{{ m.content }}<turn>{% endfor %}{{ mode }}"),
            ChatVariables = new JsonObject { ["begin"] = "<s>", ["mode"] = "cat" },
        };
        var conversation = new ChatInput
        {
            Messages = [new JsonObject { ["role"] = "user", ["content"] = "the cat" },
                new JsonObject { ["role"] = "assistant", ["content"] = "the dog" }],
            Variables = new JsonObject { ["mode"] = "dog" },
        };
        Assert.Equal(s_tokenizer.Encode("<s>the cat<turn>the dog<turn>dog"), format.EncodeChat(s_tokenizer, conversation));
        Assert.Equal(s_tokenizer.Encode("<s>the dog<turn>cat"), format.EncodeChat(s_tokenizer, "the dog"));
    }

    [Fact]
    public void A_tokenizer_says_what_stands_before_texts_unless_its_folder_does()
    {
        using var folder = Folder();
        Assert.Equal([1, .. s_tokenizer.Encode("the <turn>")], Encode(folder, "the <turn>"));
        Write(folder, "tokenizer_config.json", new JsonObject { ["add_bos_token"] = false });
        Assert.Equal(s_tokenizer.Encode("the <turn>"), Encode(folder, "the <turn>"));
        Write(folder, "tokenizer_config.json", new JsonObject { ["add_bos_token"] = true, ["bos_token"] = "<s>" });
        Assert.Equal([1, .. s_tokenizer.Encode("the cat")], Encode(folder, "the cat"));
        Assert.Equal(s_tokenizer.Encode("<s>the cat"), Encode(folder, "<s>the cat")); // it has one
        Configure(folder, config => config["bos_token_id"] = 3); // what generation from nothing begins with
        Assert.Equal([1, .. s_tokenizer.Encode("the cat")], Encode(folder, "the cat"));
    }

    [Fact]
    public void Ends_come_from_the_first_file_that_names_them()
    {
        using var folder = Folder();
        Assert.Equal([2], Load(folder).PromptFormat.StopTokens); // the tokenizer's
        Write(folder, "tokenizer_config.json", new JsonObject { ["eos_token"] = new JsonObject { ["content"] = "<turn>" } });
        Assert.Equal([3], Load(folder).PromptFormat.StopTokens);
        Configure(folder, config => config["eos_token_id"] = 1);
        Assert.Equal([1], Load(folder).PromptFormat.StopTokens);
        Write(folder, "generation_config.json", new JsonObject { ["eos_token_id"] = new JsonArray(2, 3) });
        Assert.Equal([2, 3], Load(folder).PromptFormat.StopTokens);
        Write(folder, "generation_config.json", new JsonObject { ["eos_token_id"] = new JsonArray() });
        Assert.Equal([1], Load(folder).PromptFormat.StopTokens); // none named is not none
        Configure(folder, config => config["eos_token_id"] = -1);
        Assert.Equal([3], Load(folder).PromptFormat.StopTokens);
    }

    [Fact]
    public void The_token_that_the_template_writes_after_an_answer_ends_what_the_model_writes()
    {
        using var folder = Folder();
        Configure(folder, config => config["eos_token_id"] = 2);
        const string turns = "{% for m in messages %}{{ m.role }}: {{ m.content }}<turn>\n{% endfor %}";
        Write(folder, "tokenizer_config.json", new JsonObject { ["chat_template"] = turns });
        Assert.Equal([2, 3], Load(folder).PromptFormat.StopTokens);
        const string refuses = "{{ raise_exception('no answers here') }}";
        Write(folder, "tokenizer_config.json", new JsonObject { ["chat_template"] = refuses });
        Assert.Equal([2], Load(folder).PromptFormat.StopTokens);
    }

    [Fact]
    public void Templates_know_every_role_that_a_file_names()
    {
        using var folder = Folder();
        const string roles =
            "{{ bos_token }}{% if pad_token is defined %}{{ pad_token }}{% endif %}{{ unk_token }}{{ messages[0].content }}{{ eos_token }}"
            + "{{ sep_token }}";
        Write(folder, "tokenizer_config.json", new JsonObject
        {
            ["chat_template"] = roles, ["bos_token"] = "<s>", ["pad_token"] = "<pad>", ["unk_token"] = "<turn>", ["sep_token"] = null,
        });
        Write(folder, "special_tokens_map.json", new JsonObject { ["eos_token"] = new JsonObject { ["content"] = "</s>" } });
        var loaded = Load(folder);
        Assert.Equal([1, 0, 3, .. s_tokenizer.Encode("the"), 2], loaded.PromptFormat.EncodeChat(loaded.Tokenizer, "the"));
    }

    [Fact]
    public void A_GGUF_file_without_ids_of_ends_ends_at_tokens_with_the_names_of_ends()
    {
        string[] tokens = ["a", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<turn>"];
        using var folder = new TemporaryFolder();
        Assert.Equal([2, 3], Ends(writer => { }));
        Assert.Equal([4, 2, 3], Ends(writer => writer.Metadata["tokenizer.ggml.eos_token_id"] = GgufValue.Of(4u)));
        const string template = "{{ messages[1].content }}<|im_start|>";
        Assert.Equal([2, 3, 1], Ends(writer => writer.Metadata["tokenizer.chat_template"] = GgufValue.Of(template)));

        IReadOnlyList<int> Ends(Action<GgufWriter> change)
        {
            var writer = new GgufWriter();
            GgufTokenizer.Write(new GgmlVocabulary("gpt2", tokens) { Merges = [], TokenTypes = [1, 3, 3, 1, 3] }, writer.Metadata);
            change(writer);
            writer.Save(folder.File("a.gguf"));
            using var file = GgufFile.Open(folder.File("a.gguf"));
            return GgufText.PromptFormat(file, GgufTokenizer.Read(file)).StopTokens;
        }
    }

    [Fact]
    public void A_byte_level_vocabulary_of_GGUF_without_merges_is_refused()
    {
        using var folder = new TemporaryFolder();
        var writer = new GgufWriter();
        GgufTokenizer.Write(new GgmlVocabulary("gpt2", ["a", "b"]), writer.Metadata);
        writer.Save(folder.File("a.gguf"));
        using var file = GgufFile.Open(folder.File("a.gguf"));
        Assert.EndsWith(
            "a.gguf: 'tokenizer.ggml.merges' is missing; allowed: an array of pairs, as 'model' is gpt2.",
            Assert.Throws<InvalidDataException>(() => GgufTokenizer.Read(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tokens_roles_and_ends_are_the_same_after_conversion_to_GGUF_and_back()
    {
        using var folder = Folder(vocabulary: 275);
        Write(folder, "tokenizer_config.json", new JsonObject
        {
            ["chat_template"] = "{{ pad_token }}{% for m in messages %}<|a|>{{ m.content }}<|b|>{% endfor %}", ["bos_token"] = "<s>",
            ["eos_token"] = "</s>", ["unk_token"] = "<turn>", ["pad_token"] = "<|p|>", ["add_bos_token"] = false,
            ["added_tokens_decoder"] = new JsonObject
            {
                ["270"] = new JsonObject { ["content"] = "<|a|>", ["special"] = true },
                ["271"] = new JsonObject { ["content"] = "<|b|>", ["special"] = true },
                ["272"] = new JsonObject { ["content"] = "<|p|>", ["special"] = true },
                ["273"] = new JsonObject { ["content"] = "<tool>" },
            },
        });
        Write(folder, "generation_config.json", new JsonObject { ["eos_token_id"] = new JsonArray(2, 3) });
        using var converted = new TemporaryFolder();
        ModelConversion.Convert(folder.Path, converted.File("a.gguf"), new ConversionOptions());
        ModelConversion.Convert(converted.File("a.gguf"), converted.File("back"), new ConversionOptions());
        var before = Load(folder);
        Assert.Equal([2, 3, 271], before.PromptFormat.StopTokens);
        foreach (var path in (string[])[converted.File("a.gguf"), converted.File("back")])
        {
            var after = ModelFolder.Load(path);
            foreach (var text in (string[])["<|a|>the cat<|b|>", "<tool><|p|><turn></s>", "the dog"])
            {
                Assert.Equal(
                    before.PromptFormat.EncodePrompt(before.Tokenizer, text), after.PromptFormat.EncodePrompt(after.Tokenizer, text));
            }

            Assert.Equal(before.PromptFormat.StopTokens, after.PromptFormat.StopTokens);
            Assert.Equal(before.PromptFormat.EncodeChat(before.Tokenizer, "the"), after.PromptFormat.EncodeChat(after.Tokenizer, "the"));
            Assert.Equal((1, 2, 272), (after.Tokenizer.BeginId, after.Tokenizer.EndId, after.Tokenizer.PaddingId));
            Assert.Equal("<turn>", after.Tokenizer.NamedRoles.Unknown);
            Assert.Equal("<tool>", after.Tokenizer.Decode(after.Tokenizer.Encode("<tool><|a|>")));
            after.Close();
        }
    }

    [Fact]
    public void Added_tokens_without_rows_in_the_model_are_left_out_of_a_GGUF_file_with_a_note()
    {
        using var folder = Folder(vocabulary: s_tokenizer.VocabularySize);
        Write(folder, "tokenizer_config.json", new JsonObject { ["bos_token"] = "<s>", ["pad_token"] = "[PAD]" });
        Assert.Equal(s_tokenizer.VocabularySize, Load(folder).Tokenizer.PaddingId);
        using var converted = new TemporaryFolder();
        var result = ModelConversion.Convert(folder.Path, converted.File("a.gguf"), new ConversionOptions());
        Assert.Contains("tokens that the model has no rows for are left out: [PAD]", result.Notes);
        var after = ModelFolder.Load(converted.File("a.gguf"));
        Assert.Equal((s_tokenizer.VocabularySize, null, 1), (after.Tokenizer.VocabularySize, after.Tokenizer.PaddingId, after.Tokenizer.BeginId));
        after.Close();
    }

    [Fact]
    public void A_message_is_written_by_the_template()
    {
        using var folder = Folder();
        const string template =
            "{{ bos_token }}{% for m in messages %}<turn>{{ m.role }}: {{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<turn>{% endif %}";
        Write(folder, "tokenizer_config.json", new JsonObject { ["bos_token"] = "<s>", ["chat_template"] = template });
        var loaded = Load(folder);
        Assert.Equal(s_tokenizer.Encode("<s><turn>user: the cat</s><turn>"), loaded.PromptFormat.EncodeChat(loaded.Tokenizer, "the cat"));
        File.WriteAllText(folder.File("chat_template.jinja"), "{{ messages[0].content }}<turn>");
        loaded = Load(folder);
        Assert.Equal(s_tokenizer.Encode("the dog<turn>"), loaded.PromptFormat.EncodeChat(loaded.Tokenizer, "the dog"));
        File.WriteAllText(folder.File("chat_template.jinja"), "{% for %}");
        Assert.Contains(
            "chat_template.jinja: the chat template cannot be read", Assert.Throws<InvalidDataException>(() => Load(folder)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_tokenizer_says_so_when_one_is_needed()
    {
        using var folder = Folder();
        File.Delete(folder.File("tokenizer.json"));
        var loaded = Load(folder);
        Assert.False(loaded.HasTokenizer);
        Assert.Empty(loaded.PromptFormat.StopTokens);
        Assert.Contains("no tokenizer", Assert.Throws<InvalidDataException>(() => loaded.Tokenizer).Message, StringComparison.Ordinal);
    }

    private static ModelFolder Load(TemporaryFolder folder) => ModelFolder.Load(folder.Path);

    private static int[] Encode(TemporaryFolder folder, string text)
    {
        var loaded = Load(folder);
        return loaded.PromptFormat.EncodePrompt(loaded.Tokenizer, text);
    }

    /// <summary>A small Llama of so many rows with the tokenizer.</summary>
    private static TemporaryFolder Folder(int vocabulary)
    {
        var folder = Folder();
        Configure(folder, config =>
        {
            config["vocab_size"] = vocabulary;
            config.Remove("rope_parameters"); // GGUF has no keys for these two
            config.Remove("hidden_act");
        });
        var config = HuggingFaceConfig.Load(folder.File("config.json"));
        var options = Family.Of(config).ReadConfig(config);
        Weights.Save(folder.File("model.safetensors"), options.Build(vocabulary, seed: 1), Family.Of(config).Names(options));
        return folder;
    }

    private static TemporaryFolder Folder()
    {
        var folder = new TemporaryFolder();
        foreach (var file in new[] { "config.json", "model.safetensors" })
            File.Copy(Fixture.Local($"families/llama-dynamic/{file}"), folder.File(file));
        s_tokenizer.Save(folder.File("tokenizer.json"));
        return folder;
    }

    private static void Write(TemporaryFolder folder, string file, JsonObject json) =>
        File.WriteAllText(folder.File(file), json.ToJsonString());

    private static void Configure(TemporaryFolder folder, Action<JsonObject> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        change(config);
        Write(folder, "config.json", config);
    }
}
