using System.ComponentModel;
using Microsoft.CodeAnalysis;
using Tessera.Text.Corpora;

namespace Tessera.CSharp.Corpora;

/// <summary>Pairs the documentation of public types and members with their declarations.</summary>
internal sealed class ApiPairs
{
    private readonly ApiPairsOptions _options;
    private readonly HashSet<ApiKind> _kinds;
    private readonly IReadOnlyList<string> _excludedNamespaces;
    private readonly HashSet<(string Words, string Declaration)> _seen = [];
    private readonly Dictionary<string, int> _repeats = new(StringComparer.Ordinal);

    public ApiPairs(ApiPairsOptions options)
    {
        _options = options;
        _kinds = [.. options.Kinds ?? Enum.GetValues<ApiKind>().Except([ApiKind.EnumMember])];
        _excludedNamespaces = options.ExcludedNamespaces ?? ["System.Runtime.Intrinsics", "Microsoft.VisualBasic"];
    }

    /// <summary>How many public members were left out, by reason.</summary>
    public DropCount Dropped { get; } = [];

    /// <summary>The pairs of an API, ordered by their type's and then their member's documentation id.</summary>
    public List<Example> Of(ReferenceApi api, CancellationToken cancellationToken)
    {
        var members = new List<Member>();
        foreach (var type in api.Types.Where(type => !IsExcluded(type)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            members.AddRange(Members(type, api.Summaries));
        }

        var uses = members.CountBy(member => member.Words).ToDictionary();
        var pairs = new List<Example>();
        foreach (var member in members)
        {
            var declaration = ApiDeclaration.Of(member.Symbol);

            // Words that members of several types share would stand for all of them if the type were left out.
            var isShort = uses[member.Words] == 1 && GroupSplit.Place(member.Id, seed: 0) < _options.WithoutType;
            var source = isShort ? member.Words : member.Words + Container(member.Symbol);
            if (ReasonToDrop(source, member.Words, declaration) is { } reason) Dropped.Add(reason);
            else pairs.Add(new Example(source, declaration, ApiDeclaration.QualifiedName(OutermostType(member.Symbol))));
        }

        return pairs;
    }

    /// <summary>A type and its members, nested types apart, described as differently as their names and parameters allow.</summary>
    private List<Member> Members(INamedTypeSymbol type, DocumentationSummaries summaries)
    {
        // A delegate is its signature; its methods are the compiler's.
        var declared = type.TypeKind == TypeKind.Delegate ? [] : type.GetMembers().Where(member => member is not INamedTypeSymbol);
        var members = new List<Member>();
        foreach (var symbol in declared.Prepend(type).Where(IsWanted))
        {
            var id = ReferenceApi.Id(symbol);
            if (ReasonToSkip(symbol, summaries[id]) is { } reason) Dropped.Add(reason);
            else members.Add(new Member(symbol, id, summaries[id]!, summaries[id]!));
        }

        members.Sort((one, other) => string.CompareOrdinal(one.Id, other.Id));
        members = Distinguish(members, parameter => parameter.Name);
        return Distinguish(members, ApiDeclaration.OfParameter);
    }

    /// <summary>Adds parameters to the words that several members share.</summary>
    private static List<Member> Distinguish(List<Member> members, Func<IParameterSymbol, string> describe)
    {
        var uses = members.CountBy(member => member.Words).ToDictionary();
        return members.ConvertAll(member => uses[member.Words] == 1
            ? member
            : member with { Words = member.Summary + Parameters(member.Symbol, describe) });
    }

    private static string Parameters(ISymbol symbol, Func<IParameterSymbol, string> describe)
    {
        var parameters = symbol switch
        {
            IMethodSymbol method => method.Parameters,
            IPropertySymbol { IsIndexer: true } indexer => indexer.Parameters,
            _ => default,
        };
        return parameters.IsDefault ? "" : $" ({string.Join(", ", parameters.Select(describe))})";
    }

    private bool IsExcluded(INamedTypeSymbol type)
    {
        var name = type.ContainingNamespace.ToDisplayString();
        return _excludedNamespaces.Any(excluded => name == excluded || name.StartsWith($"{excluded}.", StringComparison.Ordinal));
    }

    private bool IsWanted(ISymbol symbol) =>
        symbol is { DeclaredAccessibility: Accessibility.Public, IsImplicitlyDeclared: false } &&
        KindOf(symbol) is { } kind && _kinds.Contains(kind);

    private static ApiKind? KindOf(ISymbol symbol) => symbol switch
    {
        INamedTypeSymbol => ApiKind.Type,
        IMethodSymbol { MethodKind: MethodKind.Constructor } => ApiKind.Constructor,
        IMethodSymbol { MethodKind: MethodKind.UserDefinedOperator or MethodKind.Conversion } => ApiKind.Operator,
        IMethodSymbol { MethodKind: MethodKind.Ordinary } => ApiKind.Method,
        IPropertySymbol => ApiKind.Property,
        IEventSymbol => ApiKind.Event,
        IFieldSymbol { ContainingType.TypeKind: TypeKind.Enum } => ApiKind.EnumMember,
        IFieldSymbol => ApiKind.Field,
        _ => null,
    };

    private static string? ReasonToSkip(ISymbol symbol, string? summary)
    {
        if (symbol.IsOverride) return "override";
        if (summary is null) return "no summary";
        if (summary.Contains("not intended to be used directly", StringComparison.Ordinal) ||
            summary.Contains("internal use only", StringComparison.Ordinal)) return "documented as internal";
        for (ISymbol? part = symbol; part is not null; part = part.ContainingType)
        {
            if (part.GetAttributes().Any(IsWarning)) return "obsolete or hidden";
        }

        return null;
    }

    /// <summary>Whether an attribute tells programmers to keep away.</summary>
    private static bool IsWarning(AttributeData attribute) => attribute.AttributeClass?.Name switch
    {
        nameof(ObsoleteAttribute) => true,
        nameof(EditorBrowsableAttribute) => attribute.ConstructorArguments is [{ Value: (int)EditorBrowsableState.Never }],
        _ => false,
    };

    private string? ReasonToDrop(string source, string words, string declaration)
    {
        if (source.Length > _options.MaximumSourceCharacters) return "source too long";
        if (declaration.Length > _options.MaximumTargetCharacters) return "target too long";
        if (!_seen.Add((words, declaration))) return "same words and declaration as an earlier pair";
        var repeats = _repeats[declaration] = 1 + _repeats.GetValueOrDefault(declaration);
        return repeats > _options.MaximumRepeats ? "declaration repeated too often" : null;
    }

    private static string Container(ISymbol symbol) => symbol switch
    {
        { ContainingType: { } type } => $" [{ApiDeclaration.Name(type)}]",
        { ContainingNamespace.IsGlobalNamespace: true } => "",
        _ => $" [{symbol.ContainingNamespace.ToDisplayString()}]",
    };

    private static ISymbol OutermostType(ISymbol symbol)
    {
        while (symbol.ContainingType is { } outer) symbol = outer;
        return symbol;
    }

    /// <param name="Symbol">The type or member.</param>
    /// <param name="Id">Its documentation id.</param>
    /// <param name="Summary">What its documentation says.</param>
    /// <param name="Words">The summary, with parameters where it takes them to tell the member from others of its type.</param>
    private sealed record Member(ISymbol Symbol, string Id, string Summary, string Words);
}
