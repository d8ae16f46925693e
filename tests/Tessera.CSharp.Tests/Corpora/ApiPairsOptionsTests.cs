using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Tessera.CSharp.Corpora;
using Tessera.Text.Corpora;
using Tessera.Text.Tests.Corpora;

namespace Tessera.CSharp.Tests.Corpora;

/// <summary>What becomes of a pack small enough to see through: compiled here, documentation and all.</summary>
public sealed class ApiPairsOptionsTests : IDisposable
{
    private static readonly byte[] _systemRuntime =
        File.ReadAllBytes(Path.Combine(ReferencePack.Find(ReferencePack.Core, null).Folder, "System.Runtime.dll"));

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus Load(string code, ApiPairsOptions? options = null)
    {
        // One assembly in the place of the base class library makes reading it quick.
        var library = _folder.Write($"{ReferencePack.Core}/1.0.0/ref/net10.0/System.Runtime.dll", _systemRuntime);
        var compilation = CSharpCompilation.Create(
            "Small",
            [
                CSharpSyntaxTree.ParseText(
                    "#nullable enable\n" + code, new CSharpParseOptions(LanguageVersion.Latest, DocumentationMode.Parse)),
            ],
            [MetadataReference.CreateFromFile(library)],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        var assembly = _folder.Write("Small.Ref/1.0.0/ref/net10.0/Small.dll", "");
        using (var file = File.Create(assembly))
        using (var documentation = File.Create(Path.ChangeExtension(assembly, ".xml")))
        {
            var result = compilation.Emit(file, xmlDocumentationStream: documentation);
            Assert.True(result.Success, string.Join('\n', result.Diagnostics));
        }

        options = (options ?? new ApiPairsOptions(WithoutType: 0)) with { Packs = ["Small.Ref"], PacksFolder = "." };
        return (options with { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path);
    }

    private string[] Pairs(string code, ApiPairsOptions? options = null) =>
        [.. Load(code, options).Train.Select(pair => $"{pair.Source} -> {pair.Target}")];

    [Fact]
    public void A_member_is_described_by_its_summary_and_its_type() => Assert.Equal(
        [
            "Makes one. [Box<T>] -> public Box(T content);",
            "Opens a box if key fits. [Box<T>] -> public bool Open(string? key = null);",
            "What is in it. [Box<T>] -> public T Content { get; init; }",
            "A box. [House] -> public sealed class Box<T> where T : notnull;",
        ],
        Pairs("""
            namespace House;
            /// <summary>A box.</summary>
            public sealed class Box<T> where T : notnull
            {
                /// <summary>Makes one.</summary>
                public Box(T content) => Content = content;
                /// <summary>What is in it.</summary>
                public T Content { get; init; }
                /// <summary>Opens a <see cref="Box{T}">box</see> if <paramref name="key"/> fits.</summary>
                public bool Open(string? key = null) => key is null;
            }
            """));

    [Fact]
    public void Overloads_with_the_same_words_add_their_parameters() => Assert.Equal(
        [
            "Adds. () [Sum] -> public void Add();",
            "Adds. (byte value) [Sum] -> public void Add(byte value);",
            "Adds. (int value) [Sum] -> public void Add(int value = 1);",
            "Adds. (value, other) [Sum] -> public void Add(int value, int other);",
            "Doubles. [Sum] -> public void Double(int value);",
        ],
        Pairs("""
            public class Sum
            {
                /// <summary>Adds.</summary>
                public void Add() { }
                /// <summary>Adds.</summary>
                public void Add(byte value) { }
                /// <summary>Adds.</summary>
                public void Add(int value = 1) { }
                /// <summary>Adds.</summary>
                public void Add(int value, int other) { }
                /// <summary>Doubles.</summary>
                public void Double(int value) { }
            }
            """));

    [Fact]
    public void The_type_is_left_out_only_where_no_other_pair_has_the_words() => Assert.Equal(
        ["Counts. [A] -> public int Count;", "Names. -> public string? Name;", "Counts. [B] -> public int Total;"],
        Pairs("""
            public class A
            {
                /// <summary>Counts.</summary>
                public int Count;
                /// <summary>Names.</summary>
                public string? Name;
            }
            public class B
            {
                /// <summary>Counts.</summary>
                public int Total;
            }
            """, new ApiPairsOptions(WithoutType: 1)));

    [Fact]
    public void What_programmers_should_not_write_is_left_out_and_counted()
    {
        var corpus = Load("""
            using System;
            using System.ComponentModel;
            public class A
            {
                /// <summary>Kept.</summary>
                public void Kept() { }
                /// <summary>Old.</summary>
                [Obsolete] public void Old() { }
                /// <summary>Hidden.</summary>
                [EditorBrowsable(EditorBrowsableState.Never)] public void Hidden() { }
                /// <summary>Advanced.</summary>
                [EditorBrowsable(EditorBrowsableState.Advanced)] public void Advanced() { }
                /// <summary>Says A.</summary>
                public override string ToString() => "A";
                /// <summary>This member is not intended to be used directly from your code.</summary>
                public void Plumbing() { }
                public void Silent() { }
                public A() { }
                /// <summary>Not public.</summary>
                protected void Protected() { }
                /// <summary>Nested.</summary>
                [Obsolete] public class Nested
                {
                    /// <summary>Inside.</summary>
                    public void Inside() { }
                }
            }
            """);
        Assert.Equal(["public void Advanced();", "public void Kept();"], corpus.Train.Select(pair => pair.Target));
        Assert.Equal(
            new Dictionary<string, int>
            {
                ["obsolete or hidden"] = 4,
                ["override"] = 1,
                ["documented as internal"] = 1,
                ["no summary"] = 4,
            },
            corpus.Dropped);
    }

    [Fact]
    public void Copies_are_left_out_and_what_many_types_share_is_kept_a_few_times()
    {
        var code = string.Concat(Enumerable.Range(0, 5).Select(i => $$"""
            public class T{{i}}
            {
                /// <summary>Ends.</summary>
                public void End() { }
                /// <summary>Resets number {{i}}.</summary>
                public void Reset() { }
            }

            """));
        var corpus = Load(code, new ApiPairsOptions(MaximumRepeats: 3));
        Assert.Equal(1, corpus.Train.Count(pair => pair.Target == "public void End();"));
        Assert.Equal(3, corpus.Train.Count(pair => pair.Target == "public void Reset();"));
        Assert.Equal(4, corpus.Dropped["same words and declaration as an earlier pair"]);
        Assert.Equal(2, corpus.Dropped["declaration repeated too often"]);
    }

    [Fact]
    public void A_group_is_an_outermost_type_whatever_its_parameters()
    {
        var corpus = Load("""
            namespace N
            {
                /// <summary>One.</summary>
                public class A { }
                /// <summary>Two.</summary>
                public class A<T>
                {
                    /// <summary>Three.</summary>
                    public struct B<U>
                    {
                        /// <summary>Four.</summary>
                        public static readonly U? C;
                    }
                }
            }
            /// <summary>Five.</summary>
            public class A { }
            """);
        Assert.Equal(
            [
                new Example("Five.", "public class A;", "A"),
                new Example("One. [N]", "public class A;", "N.A"),
                new Example("Two. [N]", "public class A<T>;", "N.A"),
                new Example("Four. [A<T>.B<U>]", "public static readonly U? C;", "N.A"),
                new Example("Three. [A<T>]", "public struct B<U>;", "N.A"),
            ],
            corpus.Train);
    }

    [Fact]
    public void Kinds_lengths_and_namespaces_can_be_limited()
    {
        const string Code = """
            namespace One
            {
                /// <summary>Sizes.</summary>
                public enum Size : byte
                {
                    /// <summary>Not large.</summary>
                    Small,
                    /// <summary>Not small.</summary>
                    Large = 4,
                }
            }
            namespace One.Two
            {
                /// <summary>Words that go on and on.</summary>
                public class C
                {
                    /// <summary>Flies.</summary>
                    public void AMethodWithALongName() { }
                }
            }
            namespace OneMore
            {
                /// <summary>Waits.</summary>
                public delegate void D();
            }
            """;
        Assert.Equal(
            ["Not large. [Size] -> Small = 0", "Not small. [Size] -> Large = 4"],
            Pairs(Code, new ApiPairsOptions(Kinds: [ApiKind.EnumMember], WithoutType: 0)).Order());
        Assert.Equal(
            ["Waits. [OneMore] -> public delegate void D();"],
            Pairs(Code, new ApiPairsOptions(ExcludedNamespaces: ["One"], WithoutType: 0)));
        var corpus = Load(Code, new ApiPairsOptions(MaximumSourceCharacters: 20, MaximumTargetCharacters: 25, WithoutType: 0));
        Assert.Equal(["public enum Size : byte;", "public delegate void D();"], corpus.Train.Select(pair => pair.Target));
        Assert.Equal(new Dictionary<string, int> { ["no summary"] = 1, ["source too long"] = 1, ["target too long"] = 1 }, corpus.Dropped);
    }

    [Fact]
    public void Declarations_are_whole_whatever_they_hold()
    {
        const string Code = """
            /// <summary>1</summary>
            public delegate ref readonly U Turn<in T, U>(T value, params U[] more) where T : struct;
            /// <summary>2</summary>
            public unsafe delegate void Raw(int* value);
            /// <summary>3</summary>
            public interface IShape<out T> : IList<int>, IDisposable
            {
                /// <summary>4</summary>
                IShape<T> Copy();
                /// <summary>5</summary>
                static abstract int Unit { get; }
                /// <summary>5.1</summary>
                static virtual unsafe int Scale(void* shape) => 1;
                /// <summary>5.2</summary>
                static int Count() => 1;
            }
            /// <summary>6</summary>
            public readonly ref struct View<T> where T : allows ref struct;
            /// <summary>7</summary>
            public static class Odds
            {
                /// <summary>8</summary>
                public const decimal Third = -0.333m;
                /// <summary>9</summary>
                public const string Quote = "\"\n";
                /// <summary>10</summary>
                public static unsafe void Copy(byte* from, delegate*<int, void> each) { }
                /// <summary>10.1</summary>
                public const DayOfWeek Key = DayOfWeek.Friday;
                /// <summary>10.2</summary>
                public static bool Has(AttributeTargets targets = AttributeTargets.Class | AttributeTargets.Enum, DayOfWeek day = (DayOfWeek)9) => true;
                /// <summary>11</summary>
                public static int Odd(this ref int odd) => odd;
            }
            /// <summary>12</summary>
            public abstract class Odd : Exception, IFormattable
            {
                /// <summary>13</summary>
                public static int operator checked -(Odd odd) => 1;
                public static int operator -(Odd odd) => 1;
                /// <summary>14</summary>
                public static explicit operator int(Odd odd) => 1;
                /// <summary>15</summary>
                public abstract event EventHandler<int>? Changed;
                /// <summary>16</summary>
                public ref readonly int this[int index, params ReadOnlySpan<string?> names] => throw this;
                /// <summary>17</summary>
                public (int Left, string? Right) Split<@class>(in int @in, out @class? value, DayOfWeek day = DayOfWeek.Friday, CancellationToken token = default) where @class : class, new() => throw this;
                /// <summary>18</summary>
                public virtual nint? Address { get; protected set; }
                /// <summary>19</summary>
                public abstract string ToString(string? format, IFormatProvider? provider);
            }
            """;
        string[] expected =
        [
            "public delegate ref readonly U Turn<in T, U>(T value, params U[] more) where T : struct;",
            "public unsafe delegate void Raw(int* value);",
            "public interface IShape<out T> : IList<int>, IDisposable;",
            "IShape<T> Copy();",
            "static abstract int Unit { get; }",
            "static virtual unsafe int Scale(void* shape);",
            "static int Count();",
            "public readonly ref struct View<T> where T : allows ref struct;",
            "public static class Odds;",
            "public const decimal Third = -0.333m;",
            "public const string Quote = \"\\\"\\n\";",
            "public static unsafe void Copy(byte* from, delegate*<int, void> each);",
            "public const DayOfWeek Key = DayOfWeek.Friday;",
            "public static bool Has(AttributeTargets targets = AttributeTargets.Class | AttributeTargets.Enum, DayOfWeek day = (DayOfWeek)9);",
            "public static int Odd(this ref int odd);",
            "public abstract class Odd : Exception, IFormattable;",
            "public static int operator checked -(Odd odd);",
            "public static explicit operator int(Odd odd);",
            "public abstract event EventHandler<int>? Changed;",
            "public ref readonly int this[int index, params ReadOnlySpan<string?> names] { get; }",
            "public (int Left, string? Right) Split<@class>(in int @in, out @class? value, DayOfWeek day = DayOfWeek.Friday, CancellationToken token = default) where @class : class, new();",
            "public virtual nint? Address { get; protected set; }",
            "public abstract string ToString(string? format, IFormatProvider? provider);",
        ];
        var corpus = Load("using System; using System.Collections.Generic; using System.Threading;\n" + Code);
        Assert.Equal(
            string.Join("\n", expected),
            string.Join("\n", corpus.Train.OrderBy(pair => double.Parse(pair.Source!.Split(' ')[0])).Select(pair => pair.Target)));
    }
}
