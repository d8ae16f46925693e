using System.Text.Json.Nodes;
using Tessera.Testing;
using Tessera.Text.Templates;

namespace Tessera.Text.Tests.Templates;

/// <summary>Against what jinja2 renders, template by template; the script beside the fixture made it.</summary>
public class JinjaTests
{
    private static readonly JsonNode[] s_lines =
        [.. File.ReadLines(Fixture.Local("jinja.jsonl")).Select(line => JsonNode.Parse(line)!)];

    private static readonly ChatInput s_input = new()
    {
        Messages = s_lines[0]["messages"]!.AsArray(),
        Tools = s_lines[0]["tools"]!.AsArray(),
        Variables = s_lines[0]["variables"]!.AsObject(),
        AddGenerationPrompt = true,
        Now = new DateTime(2026, 11, 22, 9, 5, 7),
    };

    public static TheoryData<string> Templates() => [.. s_lines.Skip(1).Select(line => (string)line["t"]!).Distinct()];

    [Theory]
    [MemberData(nameof(Templates))]
    public void A_template_becomes_the_text_that_jinja_renders_or_the_error_it_raises(string template)
    {
        var line = s_lines.First(line => (string?)line["t"] == template);
        if ((string?)line["e"] is { } rendered) Assert.Equal(rendered, Render(template));
        else Assert.Equal(Kind((string)line["err"]!), Assert.Throws<TemplateException>(() => Render(template)).Kind);
    }

    private static string Render(string template) => ChatTemplate.Parse(template).Render(s_input).Text;

    /// <summary>Python has more kinds of errors than <see cref="TemplateErrorKind"/>.</summary>
    private static TemplateErrorKind Kind(string error) => error switch
    {
        "TemplateSyntaxError" or "TemplateAssertionError" => TemplateErrorKind.SyntaxError,
        "FilterArgumentError" or "AssertionError" or "KeyError" or "IndexError" or "RuntimeError" => TemplateErrorKind.ValueError,
        "TemplateRuntimeError" or "AttributeError" => TemplateErrorKind.TypeError,
        _ => Enum.Parse<TemplateErrorKind>(error),
    };
}
