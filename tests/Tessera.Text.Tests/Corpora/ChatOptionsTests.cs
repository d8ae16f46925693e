using System.Text.Json.Nodes;
using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class ChatOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus Load(params string[] lines)
    {
        _folder.Write("chat.jsonl", string.Join('\n', lines));
        return (new ChatOptions("chat.jsonl") { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path);
    }

    [Fact]
    public void A_line_is_a_conversation_whose_target_is_what_the_assistant_says()
    {
        var example = Assert.Single(Load(
            """
            {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, {"role": "user", "content": [{"type": "text", "text": "bye"}]}, {"role": "assistant", "content": "so long"}], "id": 3}
            """).Train);
        Assert.Equal((null, "hello\nso long", "hi"), (example.Source, example.Target, example.Group));
        Assert.Equal(["Be brief.", "hi", "hello", "bye", "so long"], example.Texts);
        var conversation = JsonNode.Parse(example.Conversation!)!;
        Assert.Equal(["messages"], conversation.AsObject().Select(member => member.Key));
        Assert.Equal("Be brief.", (string)conversation["messages"]![0]!["content"]!);
    }

    [Fact]
    public void Tools_and_calls_are_kept()
    {
        var example = Assert.Single(Load(
            """
            {"messages": [{"role": "user", "content": "time?"}, {"role": "assistant", "content": null, "tool_calls": [{"name": "now"}]}], "tools": [{"name": "now"}], "group": "g"}
            """).Train);
        Assert.Equal(("g", """[{"name": "now"}]"""), (example.Group, example.Target));
        Assert.Equal("now", (string)JsonNode.Parse(example.Conversation!)!["tools"]![0]!["name"]!);
    }

    [Fact]
    public void A_conversation_without_an_answer_is_left_out_and_counted()
    {
        var corpus = Load(
            """{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}""", "",
            """{"messages": [{"role": "user", "content": "hi"}]}""", """{"messages": []}""",
            """{"messages": [{"role": "assistant", "content": " "}]}""");
        Assert.Single(corpus.Train);
        Assert.Equal(new Dictionary<string, int> { ["no answer of the assistant"] = 3 }, corpus.Dropped);
    }

    [Theory]
    [InlineData("[1]", "expected a JSON object, found an array")]
    [InlineData("{\"text\": \"a\"}", "the field \"messages\" is missing")]
    [InlineData("{\"messages\": \"a\"}", "the field \"messages\" must be an array, found a string")]
    [InlineData("{\"messages\": [\"a\"]}", "each of \"messages\" must be an object, found a string")]
    [InlineData("{\"messages\": [{\"content\": \"a\"}]}", "the field \"role\" is missing")]
    [InlineData("{\"messages\": [{\"role\": 1}]}", "the field \"role\" must be a string, found a number")]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": \"\\ud83d\"}]}", "the field \"messages\" holds half of a surrogate pair")]
    public void What_is_no_conversation_is_named_with_its_place(string line, string problem) => Assert.Equal(
        $"{Path.Combine(_folder.Path, "chat.jsonl")}:2: {problem}",
        Assert.Throws<InvalidDataException>(() => Load("", line)).Message);

    [Fact]
    public void Written_conversations_read_back()
    {
        var corpus = Load("""{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "héllo 😀"}], "tools": []}""");
        ExampleFiles.Write(corpus, _folder.Path);
        var again = (new ChatOptions("train.jsonl") { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path).Train;
        Assert.Equal(corpus.Train.Select(example => (example.Target, example.Group)), again.Select(example => (example.Target, example.Group)));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(corpus.Train[0].Conversation!), JsonNode.Parse(again[0].Conversation!)));
    }
}
