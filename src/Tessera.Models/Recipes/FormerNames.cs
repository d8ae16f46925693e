using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Mixers;
using Tessera.Nn.Positions;
using Tessera.Text.Corpora;

namespace Tessera.Models.Recipes;

/// <summary>A key that has another name now.</summary>
/// <param name="Record">The record of options that has it, or a base of several.</param>
/// <param name="Former">What it was called.</param>
/// <param name="Now">What it is called, or the path to it below the record: <c>pattern.window</c>.</param>
internal sealed record FormerKey(Type Record, string Former, string Now);

/// <summary>A kind that has another name now.</summary>
/// <param name="Group">The group of parts.</param>
/// <param name="Former">What it was called.</param>
/// <param name="Now">What it is called.</param>
/// <param name="With">What it says besides, unless the recipe says it: words at paths below the part, such as (<c>pattern.kind</c>,
/// <c>window</c>).</param>
internal sealed record FormerKind(Type Group, string Former, string Now, params IReadOnlyList<(string Path, string Word)> With);

/// <summary>A kind that another assembly has now; it counts where it is registered.</summary>
/// <param name="Group">The group of parts.</param>
/// <param name="Kind">What it is called.</param>
/// <param name="Assembly">Where it is.</param>
/// <param name="Registration">What registers it.</param>
internal sealed record MovedKind(Type Group, string Kind, string Assembly, string Registration);

/// <summary>
/// What keys and kinds were called, so that recipes and models of earlier versions can be read, and people's <c>--set</c> goes on working.
/// The only place that knows former names: schema, messages and files that are written have the present ones.
/// </summary>
internal sealed class FormerNames(IReadOnlyList<FormerKey> keys, IReadOnlyList<FormerKind> kinds)
{
    /// <summary>Those of recipes.</summary>
    public static FormerNames OfRecipes { get; } = new(
        [
            // 0.1
            new(typeof(DecoderOptions), "laterTokens", "mtpDepth"),
            new(typeof(TransformerOptions), "form", "normPlacement"),
            new(typeof(LatentOptions), "keyValueRank", "kvLoraRank"),
            new(typeof(LatentOptions), "queryRank", "qLoraRank"),
            new(typeof(LatentOptions), "contentWidth", "nopeHeadDim"),
            new(typeof(LatentOptions), "positionWidth", "ropeHeadDim"),
            new(typeof(LatentOptions), "valueWidth", "vHeadDim"),
            new(typeof(MultiHeadOptions), "window", "pattern.window"),
        ],
        [
            // 0.1
            new(typeof(PositionOptions), "buckets", "relative-bias"),
            new(typeof(MixerOptions), "sliding-window", "multi-head", ("pattern.kind", "window")),
        ]);

    // 0.1
    private static readonly MovedKind[] s_moved = [new(typeof(CorpusOptions), "api-pairs", "Tessera.CSharp", "CSharpParts.Register()")];

    /// <summary>All former keys.</summary>
    public IReadOnlyList<FormerKey> Keys => keys;

    /// <summary>All former kinds.</summary>
    public IReadOnlyList<FormerKind> Kinds => kinds;

    /// <summary>The former keys of a record.</summary>
    public IEnumerable<FormerKey> KeysOf(Type record) => keys.Where(key => key.Record.IsAssignableFrom(record));

    /// <summary>What a kind of a group was; null where no kind was called so.</summary>
    public FormerKind? Kind(Type group, string? kind) =>
        kinds.FirstOrDefault(former => former.Former == kind && former.Group.IsAssignableFrom(group));

    /// <summary>Where a kind of a group has gone that this library had; null where it never had it.</summary>
    public static MovedKind? Moved(Type group, string kind) => Array.Find(s_moved, moved => moved.Kind == kind && moved.Group == group);
}
