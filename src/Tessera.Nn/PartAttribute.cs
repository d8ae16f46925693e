namespace Tessera.Nn;

/// <summary>
/// Names the kind that a record of options is in recipes: <c>[Part("gated")] public sealed record GatedOptions : MixerOptions</c>. An
/// assembly that a recipe or <c>--parts</c> names is searched for these records (<see cref="Parts.RegisterAll"/>); nothing else is needed.
/// The record's base says of which group it is.
/// </summary>
/// <param name="kind">Lower-case letters, digits and hyphens, such as <c>sliding-window</c>.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PartAttribute(string kind) : Attribute
{
    /// <summary>The kind.</summary>
    public string Kind => kind;
}
