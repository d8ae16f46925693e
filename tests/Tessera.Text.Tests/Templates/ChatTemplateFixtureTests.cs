using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Testing;
using Tessera.Text.Templates;

namespace Tessera.Text.Tests.Templates;

/// <summary>Against what transformers (jinja2) renders; the script beside the fixtures made them.</summary>
public class ChatTemplateFixtureTests
{
    private static readonly DateTime s_clock = new(2026, 11, 22, 9, 5, 7);

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (var file in Directory.GetFiles(Fixture.Local("templates"), "*.json").Order(StringComparer.Ordinal))
            foreach (var node in Read(file))
                cases.Add(Path.GetFileNameWithoutExtension(file), (string)node["name"]!);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_conversation_becomes_the_text_that_jinja_renders(string template, string name)
    {
        var node = Read(Fixture.Local($"templates/{template}.json")).Single(node => (string)node["name"]! == name);
        var input = new ChatInput
        {
            Messages = node["messages"]!.AsArray(),
            Tools = node["tools"]?.AsArray(),
            Documents = node["documents"]?.AsArray(),
            AddGenerationPrompt = (bool?)node["add_generation_prompt"] ?? false,
            ContinueFinalMessage = (bool?)node["continue_final_message"] ?? false,
            Variables = node["variables"]?.AsObject(),
            Now = s_clock,
        };
        var chat = ChatTemplate.Parse(File.ReadAllText(Fixture.Local($"templates/{template}.jinja")));
        if ((string?)node["error"] is { } kind)
        {
            var error = Assert.Throws<TemplateException>(() => chat.Render(input));
            Assert.Equal(kind, error.Kind.ToString());
            Assert.True(error.Line > 0);
            if (kind == "TemplateError") Assert.Equal((string?)node["message"], error.Reason);
            return;
        }

        var text = chat.Render(input);
        Assert.Equal((string)node["rendered"]!, text.Text);
        if (node["generation"] is JsonArray spans)
        {
            var expected = spans.Select(span => ((int)span![0]!, (int)span[1]!));
            Assert.Equal(expected, text.Generated.Select(part => (CodePoints(text.Text, part.Start), CodePoints(text.Text, part.End))));
        }
    }

    private static int CodePoints(string text, int end) => text[..end].EnumerateRunes().Count();

    private static List<JsonNode> Read(string file) =>
        [.. JsonNode.Parse(File.ReadAllText(file))!["cases"]!.AsArray().Select(node => node!)];
}
