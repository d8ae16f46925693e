using System.Text.Json.Serialization;
using Tessera.Nn;
using Tessera.Text.Corpora;

namespace Tessera.CSharp.Corpora;

/// <summary>
/// Descriptions and declarations of the public members of the .NET reference packs that an SDK brings with it;
/// <c>"kind": "api-pairs"</c> in a recipe. A pair's source is the member's documentation in plain words, its target
/// the C# declaration:
/// <code>
/// Returns the larger of two 32-bit signed integers. [Math]  →  public static int Max(int val1, int val2);
/// </code>
/// The containing type (for a type: its namespace) follows the words in brackets, so that a prompt begins as a reader
/// would begin it and may leave the bracket out; a share of the pairs do (<see cref="WithoutType"/>). Members of one type
/// that the same words describe, most of them overloads, add the names of their parameters, <c>… (separator, value)</c>,
/// and where these are the same too, their types: <c>… (string separator, params object[] value)</c>.
/// <para>
/// Left out are members without a summary, obsolete or hidden from editors, overrides (they repeat what they override),
/// pairs with both the words and the declaration of an earlier one, and those past the first
/// <see cref="MaximumRepeats"/> of a declaration that many types share (<c>public void Dispose();</c>). The group is the
/// outermost type's full name without its type parameters, so overloads, nested types and <c>Func&lt;T&gt;</c> beside
/// <c>Func&lt;T1, T2&gt;</c> stay in one split.
/// </para>
/// </summary>
/// <param name="Packs">Names of the packs to read; null for <c>Microsoft.NETCore.App.Ref</c>.</param>
/// <param name="PacksFolder">Folder to look for packs in (<c>name/version/ref/net…/*.dll</c>), from the recipe's folder,
/// before those of the installed SDK. The newest version there of a pack is read.</param>
/// <param name="Kinds">Kinds of members to take; null for all but <see cref="ApiKind.EnumMember"/>.</param>
/// <param name="ExcludedNamespaces">Namespaces to leave out with all under them; null for
/// <c>System.Runtime.Intrinsics</c> (thousands of near-copies that differ in a vector's size) and <c>Microsoft.VisualBasic</c>.</param>
/// <param name="MaximumSourceCharacters">Pairs with a longer source are left out: at least 1.</param>
/// <param name="MaximumTargetCharacters">Pairs with a longer target are left out: at least 1.</param>
/// <param name="MaximumRepeats">How many pairs may have the same target: at least 1.</param>
/// <param name="WithoutType">Share of the pairs whose source does not name the containing type, among those whose words
/// no other pair has, chosen by a hash: 0 to 1.</param>
[Part("api-pairs")]
public sealed record ApiPairsOptions(
    IReadOnlyList<string>? Packs = null, string? PacksFolder = null, IReadOnlyList<ApiKind>? Kinds = null,
    IReadOnlyList<string>? ExcludedNamespaces = null,
    int MaximumSourceCharacters = 400, int MaximumTargetCharacters = 400,
    int MaximumRepeats = 8, double WithoutType = 0.25) : CorpusOptions
{
    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBetween("maximumSourceCharacters", MaximumSourceCharacters, 1, int.MaxValue);
        RequireBetween("maximumTargetCharacters", MaximumTargetCharacters, 1, int.MaxValue);
        RequireBetween("maximumRepeats", MaximumRepeats, 1, int.MaxValue);
        RequireBetween("withoutType", WithoutType, 0, 1);
        RequireSome("packs", Packs);
        RequireSome("kinds", Kinds);
        for (var i = 0; i < Packs?.Count; i++)
        {
            RequireText($"packs[{i}]", Packs[i]);
            if (Packs[i].AsSpan().ContainsAny('/', '\\') || Packs[i].StartsWith('.'))
                throw new ArgumentException($"data.packs[{i}] must be a pack's name such as Microsoft.NETCore.App.Ref, found {Packs[i]}");
        }
    }

    /// <inheritdoc/>
    protected override Corpus Read(string baseFolder, CancellationToken cancellationToken)
    {
        var folder = PacksFolder is null ? null : Path.GetFullPath(PacksFolder, baseFolder);
        if (folder is not null && !Directory.Exists(folder))
            throw new DirectoryNotFoundException($"data.packsFolder: there is no folder {folder}");

        var packs = (Packs ?? [ReferencePack.Core]).Distinct().Select(name => ReferencePack.Find(name, folder)).ToList();
        var api = ReferenceApi.Read(packs, ReferencePack.Find(ReferencePack.Core, folder), cancellationToken);
        var pairs = new ApiPairs(this);
        var examples = pairs.Of(api, cancellationToken);
        return GroupSplit.Divide(this, string.Join(", ", packs), pairs.Dropped, examples);
    }

    private static void RequireSome<T>(string key, IReadOnlyList<T>? values)
    {
        if (values is { Count: 0 }) throw new ArgumentException($"data.{key} is empty; leave it out for the usual ones");
    }
}

/// <summary>What a member of an API is, as <c>data.kinds</c> names it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ApiKind>))]
public enum ApiKind
{
    /// <summary>A class, structure, interface, enumeration or delegate: its header, closed by a semicolon.</summary>
    [JsonStringEnumMemberName("type")] Type,

    /// <summary>An instance constructor.</summary>
    [JsonStringEnumMemberName("constructor")] Constructor,

    /// <summary>A method that is neither constructor nor operator.</summary>
    [JsonStringEnumMemberName("method")] Method,

    /// <summary>An operator or a conversion.</summary>
    [JsonStringEnumMemberName("operator")] Operator,

    /// <summary>A property or an indexer, with its accessors.</summary>
    [JsonStringEnumMemberName("property")] Property,

    /// <summary>An event.</summary>
    [JsonStringEnumMemberName("event")] Event,

    /// <summary>A field or a constant, the constant with its value.</summary>
    [JsonStringEnumMemberName("field")] Field,

    /// <summary>A name of an enumeration, with its value.</summary>
    [JsonStringEnumMemberName("enum-member")] EnumMember,
}
