using Tessera.Nn;

namespace Tessera.CSharp;

/// <summary>What this assembly adds to recipes: the corpus <c>api-pairs</c> (<see cref="Corpora.ApiPairsOptions"/>).</summary>
public static class CSharpParts
{
    /// <summary>Makes the parts known to recipes that are read from now on. To do so again changes nothing.</summary>
    public static void Register() => Parts.RegisterAll(typeof(CSharpParts).Assembly);
}
