using System.Text.Json.Nodes;
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
        Assert.Equal(s_tokenizer.Encode("the <turn>"), Encode(folder, "the <turn>"));
        Write(folder, "tokenizer_config.json", new JsonObject { ["add_bos_token"] = true, ["bos_token"] = "<s>" });
        Assert.Equal([1, .. s_tokenizer.Encode("the cat")], Encode(folder, "the cat"));
        Assert.Equal(s_tokenizer.Encode("<s>the cat"), Encode(folder, "<s>the cat")); // it has one
        Configure(folder, config => config["bos_token_id"] = 3);
        Assert.Equal([3, .. s_tokenizer.Encode("the cat")], Encode(folder, "the cat"));
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
