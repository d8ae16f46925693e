using System.Text.Json.Serialization;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Nn.Tests;

/// <summary>Groups of this file's own, so that other tests see the kinds they expect.</summary>
public sealed class PartsTests
{
    [JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
    [JsonDerivedType(typeof(Circle), "circle")]
    public abstract record Shape;

    public sealed record Circle(int Radius = 1) : Shape;

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
    public abstract record Angular : Shape;

    [Part("square")]
    public sealed record Square(int Side = 2) : Angular;

    public sealed record Triangle : Angular;

    public abstract record Unfinished : Shape;

    public sealed record Hidden : Shape
    {
        private Hidden() { }
    }

    public sealed record Loose;

    [Fact]
    public void Kinds_of_a_group_are_its_own_and_then_those_registered_below_it()
    {
        Parts.Register<Shape, Triangle>("triangle");
        Parts.Register<Shape, Triangle>("triangle"); // again
        Assert.Equal(["circle", "triangle"], Parts.Kinds(typeof(Shape)).Select(kind => kind.Name).Where(name => name != "square"));
        // By what it derives from, not by how it was registered.
        Assert.Contains(new PartKind("triangle", typeof(Triangle)), Parts.Kinds(typeof(Angular)));
        Assert.Equal(("triangle", "circle"), (Parts.KindOf(typeof(Triangle)), Parts.KindOf(typeof(Circle))));
        Assert.Null(Parts.KindOf(typeof(Loose)));
        Assert.Empty(Parts.Kinds(typeof(Loose)));
        Assert.Empty(Parts.Kinds(typeof(object)));
    }

    [Fact]
    public void An_assembly_registers_the_records_that_are_marked()
    {
        Assert.Equal([new PartKind("square", typeof(Square))], Parts.RegisterAll(typeof(PartsTests).Assembly));
        Assert.Contains(new PartKind("square", typeof(Square)), Parts.Registered);
        Assert.Empty(Parts.RegisterAll(typeof(object).Assembly));
    }

    [Fact]
    public void This_librarys_kinds_are_known_by_name_in_their_groups()
    {
        Assert.Equal(["rms", "layer"], Parts.Kinds(typeof(NormOptions)).Select(kind => kind.Name));
        Assert.Equal("two-stage", Parts.KindOf(typeof(TwoStageRouterOptions)));
        Assert.Equal("swiglu", Parts.KindOf(typeof(SwiGluOptions))); // of two groups
        Assert.All([typeof(DenseOptions), typeof(FeedForwardOptions), typeof(PositionOptions)], group => Assert.True(Parts.IsGroup(group)));
        Assert.False(Parts.IsGroup(typeof(RmsNormOptions)));
    }

    [Fact]
    public void What_cannot_be_registered_is_told_why_in_one_line()
    {
        Parts.Register<Shape, Triangle>("triangle");
        const string Own = "Tessera.Nn.Tests.PartsTests+";
        const string NotMade = "it cannot be made: it is abstract, generic, or has no public constructor";
        const string NoKind = "a kind is written in lower-case letters, digits and hyphens";
        Complains("Square", "circle", $"the kind is {Own}Circle's", Parts.Register<Angular, Square>);
        Complains("Triangle", "three", "it is 'triangle' already", Parts.Register<Shape, Triangle>);
        Complains("Circle", "disc", "it is 'circle' already", Parts.Register<Shape, Circle>);
        Complains("Unfinished", "any", NotMade, Parts.Register<Shape, Unfinished>);
        Complains("Hidden", "any", NotMade, Parts.Register<Shape, Hidden>);
        foreach (var kind in new[] { "", "Big", "two words", "a--b", "-a", "ä" })
            Complains("Square", kind, NoKind, Parts.Register<Shape, Square>);
        Assert.Equal(
            $"'loose' cannot be registered: {Own}Loose is no group of parts, as MixerOptions or NormOptions are",
            Assert.Throws<ArgumentException>(() => Parts.Register<Loose, Loose>("loose")).Message);

        static void Complains(string type, string kind, string problem, Action<string> register) => Assert.Equal(
            $"{Own}{type} cannot be registered as '{kind}': {problem}", Assert.Throws<ArgumentException>(() => register(kind)).Message);
    }
}
