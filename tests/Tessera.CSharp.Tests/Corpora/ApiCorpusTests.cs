using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Tessera.CSharp.Corpora;
using Tessera.Text.Corpora;

namespace Tessera.CSharp.Tests.Corpora;

public sealed class ApiCorpusTests(ApiCorpus api) : IClassFixture<ApiCorpus>
{
    private Corpus Corpus => api.Corpus;

    /// <summary>The words of a source: without the containing type.</summary>
    private static string Words(Example pair)
    {
        var bracket = pair.Source!.LastIndexOf(" [", StringComparison.Ordinal);
        return bracket >= 0 && pair.Source.EndsWith(']') ? pair.Source[..bracket] : pair.Source;
    }

    [Theory]
    [InlineData("System.Math", "Returns the larger of two 32-bit signed integers.", "[Math]", "public static int Max(int val1, int val2);")]
    [InlineData("System.Collections.Generic.List", "Adds an object to the end of the List<T>.", "[List<T>]", "public void Add(T item);")]
    [InlineData(
        "System.Collections.Generic.List",
        "Represents a strongly typed list of objects that can be accessed by index. Provides methods to search, sort, and manipulate lists.",
        "[System.Collections.Generic]", "public class List<T> : IList<T>, IReadOnlyList<T>, IList;")]
    [InlineData(
        "System.Collections.Concurrent.ConcurrentDictionary", "Gets or sets the value associated with the specified key.",
        "[ConcurrentDictionary<TKey, TValue>]", "public TValue this[TKey key] { get; set; }")]
    [InlineData(
        "System.Linq.Enumerable", "Filters a sequence of values based on a predicate.", "[Enumerable]",
        "public static IEnumerable<TSource> Where<TSource>(this IEnumerable<TSource> source, Func<TSource, bool> predicate);")]
    [InlineData(
        "System.IO.Stream",
        "Reads the bytes from the current stream and writes them to another stream. Both streams positions are advanced by the number of bytes copied.",
        "[Stream]", "public void CopyTo(Stream destination);")]
    [InlineData(
        "System.String",
        "Concatenates a span of strings, using the specified separator between each member. (string? separator, params ReadOnlySpan<string?> value)",
        "[string]", "public static string Join(string? separator, params ReadOnlySpan<string?> value);")]
    [InlineData(
        "System.DateTime", "Adds a specified time interval to a specified date and time, yielding a new date and time.", "[DateTime]",
        "public static DateTime operator +(DateTime d, TimeSpan t);")]
    [InlineData(
        "System.AppDomain", "Occurs when an exception is not caught.", "[AppDomain]",
        "public event UnhandledExceptionEventHandler? UnhandledException;")]
    [InlineData(
        "System.Int32", "Represents the largest possible value of an int. This field is constant.", "[int]",
        "public const int MaxValue = 2147483647;")]
    [InlineData(
        "System.Numerics.IAdditionOperators", "Adds two values together to compute their sum. (TSelf left, TOther right)",
        "[IAdditionOperators<TSelf, TOther, TResult>]", "static abstract TResult operator +(TSelf left, TOther right);")]
    [InlineData("System.Decimal", "Represents the number one (1).", "[decimal]", "public const decimal One = 1m;")]
    [InlineData(
        "System.Func", "Encapsulates a method that has no parameters and returns a value of the type specified by the TResult parameter.",
        "[System]", "public delegate TResult Func<out TResult>() where TResult : allows ref struct;")]
    public void A_known_member_is_paired_with_its_declaration(string group, string words, string type, string declaration)
    {
        var pair = Assert.Single(api.All, pair => pair.Group == group && pair.Target == declaration && Words(pair) == words);
        Assert.Contains(pair.Source, new[] { words, $"{words} {type}" });
    }

    [Fact]
    public void Every_declaration_parses_to_one_member_without_a_complaint() => Assert.All(api.All, pair =>
    {
        var tree = CSharpSyntaxTree.ParseText($"class C {{ {pair.Target} }}");
        Assert.Empty(tree.GetDiagnostics());
        var type = Assert.IsType<ClassDeclarationSyntax>(Assert.Single(tree.GetCompilationUnitRoot().Members));
        Assert.Single(type.Members);
    });

    [Fact]
    public void Sources_are_one_line_of_plain_words() => Assert.All(api.All, pair =>
    {
        Assert.DoesNotMatch(@"^\s|\s\s|\s$|[\r\n\t]|<see |</|&lt;|&amp;|cref=", pair.Source);
        Assert.InRange(pair.Source!.Length, 1, 400);
        Assert.InRange(pair.Target.Length, 1, 400);
    });

    [Fact]
    public void A_type_with_all_its_overloads_is_in_one_split()
    {
        var groups = new[] { Corpus.Train, Corpus.Validation, Corpus.Test }
            .Select(split => split.Select(pair => pair.Group).ToHashSet())
            .ToList();
        Assert.All(groups, Assert.NotEmpty);
        Assert.Equal(groups.Sum(split => split.Count), groups.SelectMany(split => split).Distinct().Count());
    }

    [Fact]
    public void Boilerplate_is_rare()
    {
        Assert.All(api.All.CountBy(pair => pair.Target), target => Assert.InRange(target.Value, 1, 8));
        Assert.DoesNotContain(api.All, pair => pair.Target.Contains(" override ", StringComparison.Ordinal));
        Assert.InRange(
            api.All.CountBy(pair => pair.Source!).Where(source => source.Value > 1).Sum(source => source.Value), 0, api.All.Count / 25);
    }

    [Fact]
    public void There_is_enough_to_learn_from_and_to_measure_on()
    {
        Assert.InRange(Corpus.Train.Count, 20_000, 60_000);
        Assert.InRange(Corpus.Validation.Count, 500, 5_000);
        Assert.InRange(Corpus.Test.Count, 500, 5_000);
        Assert.StartsWith("Microsoft.NETCore.App.Ref ", Corpus.Origin, StringComparison.Ordinal);
    }

    [Fact]
    public void The_test_pairs_are_new_and_few_of_their_targets_are_not()
    {
        var trained = Corpus.Train.Select(pair => (Words(pair), pair.Target)).ToHashSet();
        var declarations = Corpus.Train.Select(pair => pair.Target).ToHashSet();
        Assert.DoesNotContain(Corpus.Test, pair => trained.Contains((Words(pair), pair.Target)));
        Assert.InRange(Corpus.Test.Count(pair => declarations.Contains(pair.Target)), 0, Corpus.Test.Count / 8);
    }

    [Fact]
    public void A_quarter_or_less_of_the_sources_leave_out_the_type_and_no_two_of_these_are_the_same()
    {
        var withoutType = api.All.Where(pair => !pair.Source!.EndsWith(']')).Select(pair => pair.Source).ToList();
        Assert.InRange(withoutType.Count, api.All.Count * 0.15, api.All.Count * 0.25);
        Assert.Equal(withoutType.Count, withoutType.Distinct().Count());
    }
}
