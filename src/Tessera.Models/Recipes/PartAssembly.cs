using System.Reflection;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>An assembly with parts or families of its own, named by a recipe's <c>parts</c> or <c>--parts</c>: records that have a
/// <see cref="PartAttribute"/>, and classes derived from <see cref="Family"/>. Its code runs: load only what you trust.</summary>
public static class PartAssembly
{
    /// <summary>Loads an assembly and registers its parts and families. To load it again changes nothing. What it needs besides is sought
    /// in its folder.</summary>
    /// <param name="path">The file.</param>
    /// <param name="folder">Where its path begins.</param>
    /// <param name="place">Where it is named, for messages: <c>parts[0]</c>, <c>--parts</c>.</param>
    /// <exception cref="RecipeException">There is no such file, it is no assembly, it has neither, or one cannot be registered.</exception>
    /// <returns>Its full path.</returns>
    public static string Load(string path, string folder, string place)
    {
        // An empty path would be the folder, and one with a NUL is none.
        var file = path.Contains('\0') ? path.Replace('\0', '?') : Path.GetFullPath(path, Path.GetFullPath(folder));
        if (!File.Exists(file)) throw new RecipeException(place, $"is '{file}'; there is no such file");
        try
        {
            var assembly = Assembly.LoadFrom(file);
            var families = assembly.GetTypes().Where(type => type is { IsAbstract: false } && type.IsSubclassOf(typeof(Family))).ToList();
            foreach (var family in families) Family.Register((Family)Activator.CreateInstance(family)!);
            if (Parts.RegisterAll(assembly).Count + families.Count > 0) return file;
        }
        catch (BadImageFormatException)
        {
            throw new RecipeException(place, $"is '{file}', which is no .NET assembly");
        }
        catch (Exception error) when (error is not OutOfMemoryException) // code of others: anything may go wrong
        {
            var cause = error switch
            {
                ReflectionTypeLoadException { LoaderExceptions: [{ } first, ..] } => first,
                TargetInvocationException { InnerException: { } inner } => inner,
                _ => error,
            };
            throw new RecipeException(place, $"is '{file}', whose parts cannot be used: {cause.Message.ReplaceLineEndings(" ")}");
        }

        throw new RecipeException(place, $"is '{file}', which has no parts: no record in it is marked [Part(\"kind\")], no class a Family");
    }
}
