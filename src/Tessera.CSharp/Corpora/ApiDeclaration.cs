using Microsoft.CodeAnalysis;

namespace Tessera.CSharp.Corpora;

/// <summary>
/// Writes symbols as C# declarations: on one line, without attributes, types named no further than by their containing types.
/// </summary>
internal static class ApiDeclaration
{
    private const SymbolDisplayMiscellaneousOptions _miscellaneous =
        SymbolDisplayMiscellaneousOptions.UseSpecialTypes |
        SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers |
        SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier |
        SymbolDisplayMiscellaneousOptions.AllowDefaultLiteral;

    private const SymbolDisplayGenericsOptions _generics =
        SymbolDisplayGenericsOptions.IncludeTypeParameters | SymbolDisplayGenericsOptions.IncludeTypeConstraints;

    /// <summary>A type where it is used: <c>List&lt;T&gt;.Enumerator</c>.</summary>
    private static readonly SymbolDisplayFormat _usedType = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypes,
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters,
        miscellaneousOptions: _miscellaneous | SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    /// <summary>A type where it is declared, without its constraints: <c>Func&lt;in T, out TResult&gt;</c>.</summary>
    private static readonly SymbolDisplayFormat _declaredType = new(
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters | SymbolDisplayGenericsOptions.IncludeVariance,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers |
            SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    private static readonly SymbolDisplayFormat _constrainedType = _usedType.AddGenericsOptions(_generics);

    private static readonly SymbolDisplayFormat _fullName = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypesAndNamespaces,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.ExpandValueTuple);

    private static readonly SymbolDisplayFormat _member = new(
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypes,
        genericsOptions: _generics,
        memberOptions: SymbolDisplayMemberOptions.IncludeParameters | SymbolDisplayMemberOptions.IncludeType |
            SymbolDisplayMemberOptions.IncludeModifiers | SymbolDisplayMemberOptions.IncludeAccessibility |
            SymbolDisplayMemberOptions.IncludeConstantValue | SymbolDisplayMemberOptions.IncludeRef,
        parameterOptions: SymbolDisplayParameterOptions.IncludeType | SymbolDisplayParameterOptions.IncludeName |
            SymbolDisplayParameterOptions.IncludeParamsRefOut | SymbolDisplayParameterOptions.IncludeDefaultValue |
            SymbolDisplayParameterOptions.IncludeExtensionThis,
        propertyStyle: SymbolDisplayPropertyStyle.ShowReadWriteDescriptor,
        kindOptions: SymbolDisplayKindOptions.IncludeMemberKeyword,
        miscellaneousOptions: _miscellaneous);

    private static readonly SymbolDisplayFormat _parameter = _member.RemoveParameterOptions(
        SymbolDisplayParameterOptions.IncludeDefaultValue | SymbolDisplayParameterOptions.IncludeExtensionThis);

    /// <summary>A type as it is written where it is used.</summary>
    public static string Name(ITypeSymbol type) => type.ToDisplayString(_usedType);

    /// <summary>A type's name with its namespace and without type parameters: <c>System.Func</c>.</summary>
    public static string QualifiedName(ISymbol type) => type.ToDisplayString(_fullName);

    /// <summary>A parameter without its default value: <c>ref int location</c>.</summary>
    public static string OfParameter(IParameterSymbol parameter) => parameter.ToDisplayString(_parameter);

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
        IFieldSymbol { ConstantValue: decimal value } =>
            FormattableString.Invariant($"public const decimal {symbol.Name} = {value}m;"),
        _ => $"{OfMember(symbol)};",
    };

    private static string OfMember(ISymbol symbol)
    {
        var parts = symbol.ToDisplayParts(_member);
        var modifiers = parts
            .TakeWhile(part => part.ToString() is " " or "public" or "static" or "abstract" or "virtual" or "readonly")
            .Count();
        var hasPointer = parts.Any(part => part.Kind == SymbolDisplayPartKind.Punctuation && part.ToString() == "*");
        var rest = string.Concat(parts[modifiers..].Select(part => WithEnum(part, symbol)));
        return StaticInInterface(symbol) + parts[..modifiers].ToDisplayString() + (hasPointer ? "unsafe " : "") + rest;
    }

    /// <summary>A part of a display, which would name a value of an enumeration (a parameter's default) without its type.</summary>
    private static string WithEnum(SymbolDisplayPart part, ISymbol declared) =>
        part is { Kind: SymbolDisplayPartKind.EnumMemberName, Symbol: { ContainingType: { } type } name } &&
        !SymbolEqualityComparer.Default.Equals(name, declared)
            ? $"{Name(type)}.{part}"
            : part.ToString();

    /// <summary>The modifiers of a static member of an interface, all of which the display leaves out.</summary>
    private static string StaticInInterface(ISymbol symbol) => symbol switch
    {
        not { IsStatic: true, ContainingType.TypeKind: TypeKind.Interface } or IFieldSymbol => "",
        { IsAbstract: true } => "static abstract ",
        { IsVirtual: true } => "static virtual ",
        _ => "static ",
    };

    private static string Delegate(INamedTypeSymbol type, IMethodSymbol invoke)
    {
        // The method is shown as "public virtual TResult Invoke(T arg)", without the type parameters.
        var signature = OfMember(invoke)
            .Replace("public virtual unsafe ", "public unsafe delegate ", StringComparison.Ordinal)
            .Replace("public virtual ", "public delegate ", StringComparison.Ordinal)
            .Replace(" Invoke(", $" {type.ToDisplayString(_declaredType)}(", StringComparison.Ordinal);
        return $"{signature}{Constraints(type)};";
    }

    private static string Header(INamedTypeSymbol type)
    {
        var name = type.ToDisplayString(_declaredType);
        var bases = string.Join(", ", Bases(type).Select(Name));
        var inherits = bases.Length == 0 ? "" : $" : {bases}";
        return $"public {Modifiers(type)}{Keyword(type)} {name}{inherits}{Constraints(type)};";
    }

    /// <summary>The <c>where</c> clauses of a type with a blank before them, or nothing.</summary>
    private static string Constraints(INamedTypeSymbol type) => type.ToDisplayString(_constrainedType)[Name(type).Length..];

    /// <summary>What stands after the colon: the base class, and the public interfaces that nothing else there implies.</summary>
    private static IEnumerable<ITypeSymbol> Bases(INamedTypeSymbol type)
    {
        if (type.TypeKind == TypeKind.Enum)
            return type.EnumUnderlyingType is { SpecialType: not SpecialType.System_Int32 } underlying ? [underlying] : [];

        List<ITypeSymbol> parents = [.. type.Interfaces.Where(face => face.DeclaredAccessibility == Accessibility.Public)];
        if (type.BaseType is { SpecialType: not (SpecialType.System_Object or SpecialType.System_ValueType) } baseClass)
            parents.Insert(0, baseClass);
        var implied = parents.SelectMany(parent => parent.AllInterfaces).ToHashSet<ITypeSymbol>(SymbolEqualityComparer.Default);
        return parents.Where(parent => !implied.Contains(parent));
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
