using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;
using Tessera.Text.Templates;

namespace Tessera.Text.Tests.Templates;

public class ChatTemplateTests
{
    [Theory]
    [InlineData(
        "{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}", TemplateErrorKind.OverflowError,
        "takes more than")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", TemplateErrorKind.OverflowError, "nested more than 200 deep")]
    [InlineData("{{ 'abcdefghij' * 100000000 }}", TemplateErrorKind.OverflowError, "at most 10000000")]
    [InlineData("{{ 9 ** 999999999 }}", TemplateErrorKind.OverflowError, "at most 10000000")]
    [InlineData("{% set x = 'aaaaaaaaaa' * 1000000 %}{{ x }}{{ x }}{{ x }}", TemplateErrorKind.OverflowError, "prints more than")]
    [InlineData("{{ 'aaaaaaaaaaaaaaaa'.replace('a', 'b' * 1000000) }}", TemplateErrorKind.OverflowError, "at most 10000000")]
    [InlineData("{{ '{:c}'.format(-1) }}", TemplateErrorKind.OverflowError, "-1 is no code point")]
    [InlineData("{{ '{:c}'.format(100000000000000000000) }}", TemplateErrorKind.OverflowError, "is no code point")]
    [InlineData("{{ 'a'.translate({97: 55296}) }}", TemplateErrorKind.ValueError, "55296 is no code point")]
    [InlineData("{{ '%c' % 1114112 }}", TemplateErrorKind.OverflowError, "1114112 is no code point")]
    [InlineData("{{ ''.__class__.__mro__ }}", TemplateErrorKind.SecurityError, "unsafe")]
    [InlineData("{{ messages[0]['__init__']() }}", TemplateErrorKind.SecurityError, "unsafe")]
    [InlineData("\n\n{{ 1 / 0 }}", TemplateErrorKind.ZeroDivisionError, "line 3")]
    [InlineData(
        "{% set ns = namespace(a=1) %}{% for i in range(100000) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a == [ns.a] }}",
        TemplateErrorKind.OverflowError, "nested")]
    [InlineData(
        "{% set ns = namespace(a=1, b=1) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        TemplateErrorKind.OverflowError, "compares more than")]
    [InlineData(
        "{% set ns = namespace(a=1) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        TemplateErrorKind.OverflowError, "too large")]
    [InlineData(
        "{% set ns = namespace(a=1) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | tojson }}",
        TemplateErrorKind.OverflowError, "too large")]
    [InlineData("{{ 'a'.ljust(5, '') }}", TemplateErrorKind.TypeError, "exactly one character")]
    [InlineData("{{ '%s' % () }}", TemplateErrorKind.TypeError, "not enough arguments")]
    public void What_a_template_may_not_do_is_an_error_that_says_so(string source, TemplateErrorKind kind, string part)
    {
        var error = Assert.Throws<TemplateException>(() => Render(source));
        Assert.Equal(kind, error.Kind);
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{% if x %}", 1, "expected elif or else or endif")]
    [InlineData("a\n{% endfor %}", 2, "unknown tag 'endfor'")]
    [InlineData("{{ a b }}", 1, "expected '}}', found 'b'")]
    [InlineData("{{ 'open }}", 1, "the string has no end")]
    [InlineData("{# open", 1, "the comment has no end")]
    [InlineData("{% raw %} x", 1, "the raw block has no end")]
    [InlineData("\n{{ x | nosuch }}", 2, "no filter named 'nosuch'")]
    [InlineData("{{ x is nosuch }}", 1, "no test named 'nosuch'")]
    [InlineData("{% include 'other' %}", 1, "unknown tag 'include'")]
    [InlineData("{% break %}", 1, "outside a loop")]
    [InlineData("{{ ) }}", 1, "unexpected ')'")]
    public void What_is_no_template_is_an_error_with_its_line(string source, int line, string part)
    {
        var error = Assert.Throws<TemplateException>(() => ChatTemplate.Parse(source));
        Assert.Equal((TemplateErrorKind.SyntaxError, line), (error.Kind, error.Line));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_an_error_and_no_crash()
    {
        foreach (
            var source in new[]
            {
                "{{ " + new string('(', 100_000),
                "{{ " + new string('-', 100_000) + "1 }}",
                "{{ " + string.Concat(Enumerable.Repeat("not ", 100_000)) + "1 }}",
                string.Concat(Enumerable.Repeat("{% if 1 %}", 100_000)),
                "{{ " + new string('[', 100_000),
            })
            Assert.Equal(TemplateErrorKind.SyntaxError, Assert.Throws<TemplateException>(() => ChatTemplate.Parse(source)).Kind);
    }

    [Fact]
    public void A_long_chain_of_operators_is_an_error_and_no_crash()
    {
        foreach (var link in new[] { "+1", ".a", "|string" })
        {
            var source = "{{ 1" + string.Concat(Enumerable.Repeat(link, 200_000)) + " }}";
            try
            {
                Render(source);
            }
            catch (TemplateException error)
            {
                Assert.True(
                    error.Kind is TemplateErrorKind.OverflowError or TemplateErrorKind.SyntaxError or TemplateErrorKind.UndefinedError);
            }
        }
    }

    [Fact]
    public void Keys_that_compare_as_equal_are_one_and_numbers_print_in_hexadecimal_with_their_sign()
    {
        Assert.Equal("a", Render("{{ {1: 'a'}[true] }}"));
        Assert.Equal("-ff 2540be400", Render("{{ '%x %x' % (-255, 10 ** 10) }}"));
    }

    [Fact]
    public void Mutated_templates_render_or_fail_with_a_template_error()
    {
        var sources = Directory.GetFiles(Fixture.Local("templates"), "*.jinja").Select(File.ReadAllText).ToArray();
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(2000),
            Prop.ForAll(
                Gen.Choose(0, int.MaxValue - 1).ToArbitrary(),
                seed =>
                {
                    var random = new System.Random(seed);
                    var source = Mutate(sources[random.Next(sources.Length)], random);
                    try
                    {
                        Render(source);
                    }
                    catch (TemplateException)
                    {
                        // The only error there may be.
                    }
                }));
    }

    private static string Mutate(string source, System.Random random)
    {
        for (var times = random.Next(1, 6); times > 0 && source.Length > 2; times--)
        {
            var (at, length) = (random.Next(source.Length), random.Next(1, 12));
            var end = Math.Min(source.Length, at + length);
            source = random.Next(3) switch
            {
                0 => source.Remove(at, end - at),
                1 => source.Insert(random.Next(source.Length), source[at..end]),
                _ => source[..at] + "{}%#-'\"()[].|~*/0x \n"[random.Next(20)] + source[Math.Min(source.Length, at + 1)..],
            };
        }

        return source;
    }

    private static string Render(string source) => ChatTemplate.Parse(source).Render(new ChatInput
                {
                    Messages =
                    [
                        new JsonObject { ["role"] = "user", ["content"] = "Hi" },
                        new JsonObject { ["role"] = "assistant", ["content"] = "Hello" },
                    ],
    }).Text;
}
