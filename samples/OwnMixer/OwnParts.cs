using Tessera.Models;
using Tessera.Nn;

namespace OwnMixer;

/// <summary>What this assembly adds: the mixer <c>min-gru</c> and the family <c>min_gru</c>. Recipes that name the assembly under
/// <c>parts</c>, and <c>--parts</c>, find both by themselves; a program says it once.</summary>
public static class OwnParts
{
    /// <summary>Makes them known to recipes and models that are read from now on. To do so again changes nothing.</summary>
    public static void Register()
    {
        Parts.RegisterAll(typeof(OwnParts).Assembly);
        Family.Register(new MinGruFamily());
    }
}
