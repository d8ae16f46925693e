using System.Text.Json.Serialization.Metadata;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Nn.Recurrence;
using Tessera.Text.Corpora;

namespace Tessera.Models.Recipes;

/// <summary>One entry of the catalogue: the word that names a part in a recipe.</summary>
/// <param name="Group">The base of the group's options, such as <see cref="AttentionOptions"/>.</param>
/// <param name="Kind">The word.</param>
/// <param name="Options">The part's options record.</param>
public sealed record CatalogueEntry(Type Group, string Kind, Type Options);

/// <summary>Every part that a recipe can name. To add a part is to add its file and one line here.</summary>
public sealed class Catalogue
{
    private readonly List<CatalogueEntry> _entries = [];

    /// <summary>The parts of models, and corpora.</summary>
    public static Catalogue Parts => new Catalogue()
        .Add<ModelOptions, EncoderDecoderOptions>("encoder-decoder")
        .Add<ModelOptions, DecoderOptions>("decoder")
        .Add<EncoderOptions, TransformerOptions>("transformer")
        .Add<EncoderOptions, LstmOptions>("lstm")
        .Add<EncoderOptions, GruOptions>("gru")
        .Add<AttentionOptions, MultiHeadOptions>("multi-head")
        .Add<FeedForwardOptions, SwiGluOptions>("swiglu")
        .Add<FeedForwardOptions, GeGluOptions>("geglu")
        .Add<FeedForwardOptions, GeluOptions>("gelu")
        .Add<FeedForwardOptions, ReluOptions>("relu")
        .Add<FeedForwardOptions, ExpertsOptions>("experts")
        .Add<DenseOptions, SwiGluOptions>("swiglu")
        .Add<DenseOptions, GeGluOptions>("geglu")
        .Add<DenseOptions, GeluOptions>("gelu")
        .Add<DenseOptions, ReluOptions>("relu")
        .Add<RouterOptions, SoftmaxRouterOptions>("softmax")
        .Add<RouterOptions, TwoStageRouterOptions>("two-stage")
        .Add<NormOptions, RmsNormOptions>("rms")
        .Add<NormOptions, LayerNormOptions>("layer")
        .Add<PositionOptions, RotaryOptions>("rotary")
        .Add<PositionOptions, SinusoidalOptions>("sinusoidal")
        .Add<CorpusOptions, ApiPairsOptions>("api-pairs")
        .Add<CorpusOptions, ParallelFilesOptions>("parallel-files")
        .Add<CorpusOptions, JsonLinesOptions>("jsonl")
        .Add<CorpusOptions, TextFolderOptions>("text");

    /// <summary>All entries, in the order they were added.</summary>
    public IReadOnlyList<CatalogueEntry> Entries => _entries;

    /// <summary>Adds a part.</summary>
    /// <typeparam name="TGroup">The base of the group's options.</typeparam>
    /// <typeparam name="TPart">The part's options.</typeparam>
    /// <param name="kind">The word that names the part in a recipe.</param>
    public Catalogue Add<TGroup, TPart>(string kind) where TPart : TGroup
    {
        _entries.Add(new CatalogueEntry(typeof(TGroup), kind, typeof(TPart)));
        return this;
    }

    /// <summary>The parts of one group.</summary>
    public IEnumerable<CatalogueEntry> In(Type group) => _entries.Where(entry => entry.Group == group);

    /// <summary>Tells the JSON reader which options each <c>kind</c> of a group stands for.</summary>
    internal void Configure(JsonTypeInfo type)
    {
        if (!In(type.Type).Any()) return;
        type.PolymorphismOptions = new JsonPolymorphismOptions { TypeDiscriminatorPropertyName = "kind" };
        foreach (var entry in In(type.Type)) type.PolymorphismOptions.DerivedTypes.Add(new JsonDerivedType(entry.Options, entry.Kind));
    }
}
