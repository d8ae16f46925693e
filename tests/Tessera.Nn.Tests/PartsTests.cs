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
        Assert.Contains(new PartKind("triangle", typeof(Triangle)), Parts.Kinds(typeof(Angular))); // by what it derives from, not by how it was registered
        Assert.Equal(("triangle", "circle", null), (Parts.KindOf(typeof(Triangle)), Parts.KindOf(typeof(Circle)), Parts.KindOf(typeof(Loose))));
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
        Assert.True(Parts.IsGroup(typeof(DenseOptions)) && Parts.IsGroup(typeof(FeedForwardOptions)) && Parts.IsGroup(typeof(PositionOptions)));
        Assert.False(Parts.IsGroup(typeof(RmsNormOptions)));
    }

    [Fact]
    public void What_cannot_be_registered_is_told_why_in_one_line()
    {
        Parts.Register<Shape, Triangle>("triangle");
        const string Own = "Tessera.Nn.Tests.PartsTests+";
        Complains($"{Own}Square cannot be registered as 'circle': the kind is {Own}Circle's", () => Parts.Register<Angular, Square>("circle"));
        Complains($"{Own}Triangle cannot be registered as 'three': it is 'triangle' already", () => Parts.Register<Shape, Triangle>("three"));
        Complains($"{Own}Circle cannot be registered as 'disc': it is 'circle' already", () => Parts.Register<Shape, Circle>("disc"));
        Complains($"{Own}Unfinished cannot be registered as 'any': it cannot be made: it is abstract, generic, or has no public constructor", () => Parts.Register<Shape, Unfinished>("any"));
        Complains($"{Own}Hidden cannot be registered as 'any': it cannot be made: it is abstract, generic, or has no public constructor", () => Parts.Register<Shape, Hidden>("any"));
        Complains($"'loose' cannot be registered: {Own}Loose is no group of parts, as MixerOptions or NormOptions are", () => Parts.Register<Loose, Loose>("loose"));
        foreach (var name in new[] { "", "Big", "two words", "a--b", "-a", "ä" })
            Complains($"{Own}Square cannot be registered as '{name}': a kind is written in lower-case letters, digits and hyphens", () => Parts.Register<Shape, Square>(name));

        static void Complains(string message, Action register) => Assert.Equal(message, Assert.Throws<ArgumentException>(register).Message);
    }
}
