using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Tessera.CSharp.Corpora;

/// <summary>The public types of reference packs, and what the documentation says of them and their members.</summary>
/// <param name="Types">The public types, nested ones too, ordered by documentation id.</param>
/// <param name="Summaries">The summaries of everything documented, by documentation id.</param>
internal sealed record ReferenceApi(IReadOnlyList<INamedTypeSymbol> Types, DocumentationSummaries Summaries)
{
    /// <summary>Reads packs.</summary>
    /// <param name="packs">What to read.</param>
    /// <param name="library">The pack of the base class library, whose types those of any pack refer to.</param>
    /// <param name="cancellationToken">Stops the reading between two files.</param>
    public static ReferenceApi Read(
        IReadOnlyList<ReferencePack> packs, ReferencePack library, CancellationToken cancellationToken)
    {
        var known = PublicTypes(packs.Append(library), cancellationToken);
        var summaries = new DocumentationSummaries(known.ToDictionary(type => type.Key, type => ApiDeclaration.Name(type.Value)));
        foreach (var path in packs.SelectMany(pack => pack.Documentation))
        {
            cancellationToken.ThrowIfCancellationRequested();
            summaries.Add(path);
        }

        var assemblies = packs.SelectMany(pack => pack.Assemblies).Select(Path.GetFileNameWithoutExtension).ToHashSet();
        return new ReferenceApi([.. known.Values.Where(type => assemblies.Contains(type.ContainingAssembly.Name))], summaries);
    }

    /// <summary>The name of a type or member in documentation files: <c>M:System.Math.Max(System.Int32,System.Int32)</c>.</summary>
    public static string Id(ISymbol symbol) =>
        symbol.GetDocumentationCommentId() ??
        throw new InvalidDataException($"{symbol.ContainingAssembly}: {symbol} has no documentation id");

    private static SortedDictionary<string, INamedTypeSymbol> PublicTypes(
        IEnumerable<ReferencePack> packs, CancellationToken cancellationToken)
    {
        var references = packs.SelectMany(pack => pack.Assemblies).Distinct().Select(path => MetadataReference.CreateFromFile(path));
        var compilation = CSharpCompilation.Create("corpus", references: references);
        var types = new SortedDictionary<string, INamedTypeSymbol>(StringComparer.Ordinal);
        foreach (var assembly in compilation.SourceModule.ReferencedAssemblySymbols)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Collect(assembly.GlobalNamespace);
        }

        return types;

        void Collect(INamespaceOrTypeSymbol container)
        {
            foreach (var member in container.GetMembers().OfType<INamespaceOrTypeSymbol>())
            {
                if (member is INamedTypeSymbol { DeclaredAccessibility: Accessibility.Public } type) types.TryAdd(Id(type), type);
                else if (member is not INamespaceSymbol) continue;
                Collect(member);
            }
        }
    }
}
