using System.Diagnostics;
using Tessera.CSharp.Validation;
using Tessera.Testing;

namespace Tessera.CSharp.Tests.Validation;

public sealed class CSharpSyntaxValidatorTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private readonly CSharpSyntaxValidator _validator = new();

    [Theory]
    [InlineData("public static int Max(int a, int b);")]
    [InlineData("public Foo(int x);")]
    [InlineData("public Foo(int x) : base(x) { }")]
    [InlineData("static Foo() { }")]
    [InlineData("~Foo();")]
    [InlineData("public static X operator +(X a, X b);")]
    [InlineData("public static implicit operator Foo(int x);")]
    [InlineData("public int this[int i] { get; set; }")]
    [InlineData("public int X { get; }")]
    [InlineData("public event EventHandler E;")]
    [InlineData("public delegate int F(int a);")]
    [InlineData("public abstract T F<T>(T x) where T : class;")]
    [InlineData("public const int A = 1;")]
    [InlineData("private int a; public void F() { } public int B => a;")]
    [InlineData("[Obsolete] public override string ToString() => $\"{a:x}\";")]
    [InlineData("enum E { A, B }")]
    [InlineData("using System;")]
    [InlineData("using System; namespace X; public class Y { }")]
    [InlineData("#pragma warning disable\nclass A { }")]
    [InlineData("#define D\nclass A { }")]
    [InlineData("int x = 1; return x;")]
    [InlineData("if (a) b(); else c();")]
    [InlineData("for (var i = 0; i < n; i++) yield return i; // done")]
    [InlineData("await foreach (var x in y) { }")]
    public void Members_files_and_statements_are_valid(string text)
    {
        Assert.Null(_validator.FirstError(text));
        Assert.True(_validator.IsValid(text));
    }

    [Theory]
    [InlineData("", "1:1: there is no code")]
    [InlineData(" \n\t ", "1:1: there is no code")]
    [InlineData("// only a comment", "1:1: there is no code")]
    [InlineData("#if X\nint x;\n#endif", "1:1: there is no code")]
    [InlineData("hello", null)]
    [InlineData("Red = 1, Green", null)]
    [InlineData("the quick brown fox", null)]
    [InlineData("public int F(", null)]
    [InlineData("int x; } class D {", null)]
    [InlineData("} class D {", null)]
    [InlineData("}", null)]
    [InlineData("{", null)]
    [InlineData("int x; /* never ends", null)]
    [InlineData("string s = \"never ends", null)]
    [InlineData("return x", "1:9: CS1002: ; expected")]
    [InlineData("int a;\nint b = (1;", "2:11: CS1026: ) expected")]
    [InlineData("int a;\nint b = ;", "2:9: CS1525: Invalid expression term ';'")]
    public void Anything_else_is_not_and_the_first_error_says_where(string text, string? error)
    {
        Assert.False(_validator.IsValid(text));
        var found = _validator.FirstError(text);
        Assert.NotNull(found);
        if (error is not null) Assert.Equal(error, found);
    }

    [Fact]
    public void Brackets_may_be_nested_as_deep_as_the_limit_and_no_deeper()
    {
        Assert.True(_validator.IsValid("int x = " + new string('(', 200) + "1" + new string(')', 200) + ";"));
        Assert.True(_validator.IsValid("int x = " + new string('(', 150) + "1" + new string(')', 150) + ";"));
        Assert.Equal("1:209: brackets are nested deeper than 200",
            _validator.FirstError("int x = " + new string('(', 201) + "1" + new string(')', 201) + ";"));
    }

    [Fact]
    public void Many_comparisons_are_not_deep_brackets() =>
        Assert.True(_validator.IsValid(string.Concat(Enumerable.Repeat("if (a < b) c();\n", 1_000))));

    [Fact]
    public void A_text_longer_than_the_limit_is_not_valid() =>
        Assert.Equal("1:1: the text has 50001 characters, more than 50000", _validator.FirstError(new string(';', 50_001)));

    [Theory]
    [InlineData("", "(", "{", "[", "[A(", "({", "(a)(b")]
    [InlineData("", "A<", "A<(", "delegate*<", "a<b>(", "f(a<b,")]
    [InlineData("", "$\"{", "$\"\"\"{", "\"", "'", "@")]
    [InlineData("", "!", "a=", "a+", "a?b:", "a??", "x=>", "..")]
    [InlineData("", "if(a)", "do ", "else ", "a:", "case ", "class A:", "namespace A{")]
    [InlineData("", "a is not ", "a and ", "from x in y ", "throw ", "await ", "new ", "ref ", "int[]")]
    [InlineData("#if A\n", "#if A\n", "#region\n")]
    [InlineData("#if ", "!", "(", "a||", "a==")]
    public void No_repetition_overflows_the_stack(string start, params string[] pieces)
    {
        foreach (var piece in pieces)
        {
            foreach (var count in new[] { 60, 190, 10_000 / piece.Length })
                Assert.False(IsValidOnASmallStack(start + string.Concat(Enumerable.Repeat(piece, count))));
        }
    }

    [Fact]
    public void Closing_brackets_in_comments_do_not_help_a_text_to_overflow_the_stack()
    {
        foreach (var (opening, closing) in new[] { ("A<", '>'), ("$\"{", '}') })
        {
            var nested = string.Concat(Enumerable.Repeat(opening, 150)) + "/*" + new string(closing, 150) + "*/";
            Assert.False(IsValidOnASmallStack(string.Concat(Enumerable.Repeat(nested, 3))));
        }
    }

    // A quarter of what a thread of the pool has on Linux.
    private bool IsValidOnASmallStack(string text)
    {
        var valid = true;
        var thread = new Thread(() => valid = _validator.IsValid(text), 384 << 10);
        thread.Start();
        thread.Join();
        return valid;
    }

    [Fact]
    public void Random_texts_never_throw_and_the_two_questions_agree()
    {
        var random = new Random(5);
        string[] pieces =
        [
            "public",
            " ",
            "int",
            "(",
            ")",
            "{",
            "}",
            "<",
            ">",
            "=",
            ";",
            "x",
            "\"",
            "'",
            "$\"",
            "#if",
            "\n",
            "//",
            "/*",
            "=>",
            "\0",
            "\uD800",
            "?",
            "[",
            "]",
            ",",
            "class ",
            "1e",
            "@",
            "\\u",
        ];
        for (var i = 0; i < 2_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => pieces[random.Next(pieces.Length)]));
            Assert.Equal(_validator.IsValid(text), _validator.FirstError(text) is null);
        }
    }

    [SharedFact("data/java-cs/train.cs")]
    public void Real_methods_are_valid_and_their_broken_copies_are_not()
    {
        string[] methods = [.. File.ReadLines(Fixture.Shared("data/java-cs/train.cs")!).Take(3_000)];
        var watch = Stopwatch.StartNew();
        var valid = methods.Where(_validator.IsValid).ToList();
        output.WriteLine($"{valid.Count} of {methods.Length} valid, {methods.Length / watch.Elapsed.TotalSeconds:F0} a second");
        Assert.InRange(valid.Count, methods.Length * 0.99, methods.Length); // Some lines of the corpus are Java.
        Assert.All(valid.Take(1_000), method => Assert.False(_validator.IsValid(method[..^1])));
    }
}
