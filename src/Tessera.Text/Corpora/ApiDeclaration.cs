using Microsoft.CodeAnalysis;

namespace Tessera.Text.Corpora;

/// <summary>Writes symbols as C# declarations: one line, names qualified no further than by their containing types, no attributes.</summary>
internal static class ApiDeclaration
{
    private const SymbolDisplayMiscellaneousOptions Miscellaneous =
        SymbolDisplayMiscellaneousOptions.UseSpecialTypes |
        SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers |
        SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier |
        SymbolDisplayMiscellaneousOptions.AllowDefaultLiteral;

    private const SymbolDisplayGenericsOptions Generics =
        SymbolDisplayGenericsOptions.IncludeTypeParameters | SymbolDisplayGenericsOptions.IncludeTypeConstraints;

    /// <summary>A type where it is used: <c>List&lt;T&gt;.Enumerator</c>.</summary>
    private static readonly SymbolDisplayFormat UsedType = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypes,
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters,
        miscellaneousOptions: Miscellaneous | SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    /// <summary>A type where it is declared, without its constraints: <c>Func&lt;in T, out TResult&gt;</c>.</summary>
    private static readonly SymbolDisplayFormat DeclaredType = new(
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters | SymbolDisplayGenericsOptions.IncludeVariance,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers | SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    private static readonly SymbolDisplayFormat ConstrainedType = UsedType.AddGenericsOptions(Generics);

    private static readonly SymbolDisplayFormat FullName = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypesAndNamespaces,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    private static readonly SymbolDisplayFormat Member = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypes,
        genericsOptions: Generics,
        memberOptions: SymbolDisplayMemberOptions.IncludeParameters | SymbolDisplayMemberOptions.IncludeType |
            SymbolDisplayMemberOptions.IncludeModifiers | SymbolDisplayMemberOptions.IncludeAccessibility |
            SymbolDisplayMemberOptions.IncludeConstantValue | SymbolDisplayMemberOptions.IncludeRef,
        parameterOptions: SymbolDisplayParameterOptions.IncludeType | SymbolDisplayParameterOptions.IncludeName |
            SymbolDisplayParameterOptions.IncludeParamsRefOut | SymbolDisplayParameterOptions.IncludeDefaultValue |
            SymbolDisplayParameterOptions.IncludeExtensionThis,
        propertyStyle: SymbolDisplayPropertyStyle.ShowReadWriteDescriptor,
        kindOptions: SymbolDisplayKindOptions.IncludeMemberKeyword,
        miscellaneousOptions: Miscellaneous);

    private static readonly SymbolDisplayFormat Parameter = Member.RemoveParameterOptions(
        SymbolDisplayParameterOptions.IncludeDefaultValue | SymbolDisplayParameterOptions.IncludeExtensionThis);

    /// <summary>A type as it is written where it is used.</summary>
    public static string Name(ITypeSymbol type) => type.ToDisplayString(UsedType);

    /// <summary>A type's name with its namespace and without type parameters: <c>System.Func</c>.</summary>
    public static string QualifiedName(ISymbol type) => type.ToDisplayString(FullName);

    /// <summary>A parameter without its default value: <c>ref int location</c>.</summary>
    public static string OfParameter(IParameterSymbol parameter) => parameter.ToDisplayString(Parameter);

    /// <summary>
    /// The declaration of a type or member, closed by a semicolon or, a property, by a brace; that of an enumeration's
    /// name is <c>name = value</c>.
    /// </summary>
    public static string Of(ISymbol symbol) => symbol switch
    {
        INamedTypeSymbol { DelegateInvokeMethod: { } invoke } type => Delegate(type, invoke),
        INamedTypeSymbol type => Header(type),
        IFieldSymbol { ContainingType.TypeKind: TypeKind.Enum } or IPropertySymbol => OfMember(symbol),

        // A decimal constant is kept as a read-only field with an attribute, and shown as both.
        IFieldSymbol { ConstantValue: decimal value } => FormattableString.Invariant($"public const decimal {symbol.Name} = {value}m;"),
        _ => $"{OfMember(symbol)};",
    };

    private static string OfMember(ISymbol symbol)
    {
        var parts = symbol.ToDisplayParts(Member);
        if (!parts.Any(part => part.Kind == SymbolDisplayPartKind.Punctuation && part.ToString() == "*")) return parts.ToDisplayString();

        var modifiers = parts.TakeWhile(part => part.ToString() is " " or "public" or "static" or "abstract" or "virtual" or "readonly").Count();
        return $"{parts[..modifiers].ToDisplayString()}unsafe {parts[modifiers..].ToDisplayString()}";
    }

    private static string Delegate(INamedTypeSymbol type, IMethodSymbol invoke)
    {
        // The method is shown as "public virtual TResult Invoke(T arg)", its type parameters' variance and constraints apart.
        var signature = OfMember(invoke).Replace("public virtual unsafe ", "public unsafe delegate ", StringComparison.Ordinal)
            .Replace("public virtual ", "public delegate ", StringComparison.Ordinal);
        var name = signature.IndexOf(" Invoke(", StringComparison.Ordinal) + 1;
        return $"{signature[..name]}{type.ToDisplayString(DeclaredType)}{signature[(name + "Invoke".Length)..]}{Constraints(type)};";
    }

    private static string Header(INamedTypeSymbol type)
    {
        var bases = string.Join(", ", Bases(type).Select(Name));
        return $"public {Modifiers(type)}{Keyword(type)} {type.ToDisplayString(DeclaredType)}{(bases.Length == 0 ? "" : $" : {bases}")}{Constraints(type)};";
    }

    /// <summary>The <c>where</c> clauses of a type with a blank before them, or nothing.</summary>
    private static string Constraints(INamedTypeSymbol type) => type.ToDisplayString(ConstrainedType)[Name(type).Length..];

    /// <summary>What stands after the colon: the base class, and the public interfaces that nothing else there implies.</summary>
    private static IEnumerable<ITypeSymbol> Bases(INamedTypeSymbol type)
    {
        if (type.TypeKind == TypeKind.Enum)
            return type.EnumUnderlyingType is { SpecialType: not SpecialType.System_Int32 } underlying ? [underlying] : [];

        var baseClass = type.BaseType is { SpecialType: not (SpecialType.System_Object or SpecialType.System_ValueType) } found ? found : null;
        var interfaces = type.Interfaces.Where(face => face.DeclaredAccessibility == Accessibility.Public).ToList();
        var implied = interfaces.Concat(baseClass is null ? [] : [baseClass])
            .SelectMany(parent => parent.AllInterfaces)
            .ToHashSet<ITypeSymbol>(SymbolEqualityComparer.Default);
        return (baseClass is null ? [] : new ITypeSymbol[] { baseClass }).Concat(interfaces.Where(face => !implied.Contains(face)));
    }

    private static string Modifiers(INamedTypeSymbol type) => type switch
    {
        { IsStatic: true } => "static ",
        { TypeKind: TypeKind.Class, IsAbstract: true } => "abstract ",
        { TypeKind: TypeKind.Class, IsSealed: true } => "sealed ",
        { TypeKind: TypeKind.Struct } => (type.IsReadOnly ? "readonly " : "") + (type.IsRefLikeType ? "ref " : ""),
        _ => "",
    };

    private static string Keyword(INamedTypeSymbol type) => type.TypeKind switch
    {
        TypeKind.Struct => "struct",
        TypeKind.Interface => "interface",
        TypeKind.Enum => "enum",
        _ => "class",
    };
}
