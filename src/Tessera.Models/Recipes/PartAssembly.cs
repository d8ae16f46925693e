using System.Reflection;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>An assembly with parts of its own, named by a recipe's <c>parts</c> or <c>--parts</c>. Its code runs where a recipe uses it: load only what you
/// trust.</summary>
public static class PartAssembly
{
    /// <summary>Loads an assembly and registers its records that have a <see cref="PartAttribute"/>. To load it again changes nothing. What it needs besides is
    /// sought in its folder.</summary>
    /// <param name="path">The file.</param>
    /// <param name="place">Where it is named, for messages: <c>parts[0]</c>, <c>--parts</c>.</param>
    /// <exception cref="RecipeException">There is no such file, it is no assembly, it has no parts, or one cannot be registered.</exception>
    public static void Load(string path, string place)
    {
        if (!File.Exists(path)) throw new RecipeException(place, $"is '{path}'; there is no such file");
        try
        {
            if (Parts.RegisterAll(Assembly.LoadFrom(Path.GetFullPath(path))).Count > 0) return;
        }
        catch (BadImageFormatException)
        {
            throw new RecipeException(place, $"is '{path}', which is no .NET assembly");
        }
        catch (Exception error) when (error is not OutOfMemoryException) // code of others: anything may go wrong
        {
            var cause = error is ReflectionTypeLoadException { LoaderExceptions: [{ } first, ..] } ? first : error;
            throw new RecipeException(place, $"is '{path}', whose parts cannot be used: {cause.Message.ReplaceLineEndings(" ")}");
        }

        throw new RecipeException(place, $"is '{path}', which has no parts: no record in it is marked [Part(\"kind\")]");
    }
}
