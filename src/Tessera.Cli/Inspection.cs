using System.Globalization;
using Tessera.Models;
using Tessera.Nn;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Text.Tokenizers;
using Tessera.Nn.Mixers;

namespace Tessera.Cli;

/// <summary>The tensors of one type.</summary>
internal sealed record TypeTotal(string Name, int Tensors, long Elements, long Bytes);

/// <summary>A special token and what it is for.</summary>
internal sealed record SpecialToken(string Role, int Id, string Token);

/// <summary>What a tokenizer is.</summary>
internal sealed record TokenizerFacts(string Kind, int Tokens, int Added, IReadOnlyList<SpecialToken> Special)
{
    public static TokenizerFacts Of(Tokenizer tokenizer)
    {
        var roles = ((string Role, int? Id)[])[("begin", tokenizer.BeginId), ("end", tokenizer.EndId), ("padding", tokenizer.PaddingId)];
        return new TokenizerFacts(tokenizer.ModelName, tokenizer.VocabularySize, tokenizer.AddedTokens.Count, [
            .. roles.Where(role => role.Id is not null).Select(
                role => new SpecialToken(role.Role, role.Id!.Value, tokenizer.TokenText(role.Id.Value)))]);
    }
}

/// <summary>What a model, or a file of tensors, holds; weights are not read.</summary>
internal sealed class Inspection : IDisposable
{
    private const string ArchitectureKey = GgufModel.ArchitectureKey;
    private readonly TensorSource _source;

    private Inspection(string path, TensorSource source, string format) => (Path, _source, Format) = (path, source, format);

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary><c>gguf</c>, <c>safetensors</c>, <c>Hugging Face</c> or <c>Tessera</c>.</summary>
    public string Format { get; }

    /// <summary>What kind of model it is; null for tensors without one.</summary>
    public string? Architecture { get; private init; }

    /// <summary>The sizes of the model.</summary>
    public IReadOnlyList<(string Key, string Value)> Config { get; private init; } = [];

    /// <summary>How many numbers a model has learned.</summary>
    public long? Parameters { get; private init; }

    /// <summary>How many of them take part in one token.</summary>
    public long? ActiveParameters { get; private init; }

    /// <summary>The tokenizer, where there is one.</summary>
    public TokenizerFacts? Tokenizer { get; private init; }

    /// <summary>Whether a model says how conversations are written.</summary>
    public bool? HasChatTemplate { get; private init; }

    /// <summary>What a file says of itself.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private init; } = new Dictionary<string, string>();

    /// <summary>The tensors in the order of the file.</summary>
    public IEnumerable<StoredTensor> Tensors => _source.Tensors.Values;

    /// <summary>The tensors by type, that of most bytes first.</summary>
    public IReadOnlyList<TypeTotal> Types =>
    [
        .. Tensors.GroupBy(tensor => tensor.Type, (type, alike) => (type, alike: alike.ToArray()))
            .Select(
                group => new TypeTotal(
                    group.type, group.alike.Length, group.alike.Sum(tensor => tensor.Count), group.alike.Sum(tensor => tensor.ByteCount)))
            .OrderByDescending(type => type.Bytes),
    ];

    /// <summary>Looks at a file or folder.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    /// <exception cref="InvalidDataException">It is damaged or not supported.</exception>
    public static Inspection Of(string path)
    {
        if (PeftAdapter.IsIn(path)) return OfAdapter(path);
        if (Directory.Exists(path) && File.Exists(System.IO.Path.Combine(path, ModelFolder.ConfigFile)))
            HuggingFaceConfig.Load(System.IO.Path.Combine(path, ModelFolder.ConfigFile)); // what is wrong with it is said first
        var source = TensorSource.Open(path);
        try
        {
            return source switch
            {
                GgufFile file => OfGguf(path, file),
                _ when Directory.Exists(path)
                    && File.Exists(System.IO.Path.Combine(path, ModelFolder.ConfigFile)) => OfFolder(path, source),
                SafetensorsFile file => new Inspection(path, source, "safetensors") { Metadata = file.Metadata },
                _ => new Inspection(path, source, "safetensors"),
            };
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private static Inspection OfGguf(string path, GgufFile file)
    {
        // Of architectures that are not known there is still much to see.
        var metadata = file.Metadata.Where(pair => pair.Value.Type != GgufValueType.Array && pair.Value.ToString().Length < 200)
            .ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
        var format = $"gguf {file.Version}" + (file.Files.Count > 1 ? $" in {file.Files.Count} files" : "");
        if (!GgufModel.IsSupported(file))
            return new Inspection(path, file, format)
            {
                Architecture = file.Text(ArchitectureKey) is { } name ? $"{name} (not supported)" : null,
                Config = PartFacts(ShownParts.Of(file)), Metadata = metadata,
            };
        return OfModel(path, file, format, file.Text(ArchitectureKey)!, ModelFolder.Load(path, asStored: true), metadata);
    }

    private static Inspection OfAdapter(string path)
    {
        var adapter = PeftAdapter.Describe(path);
        var tensors = TensorSource.Open(System.IO.Path.Combine(path, PeftAdapter.WeightsFile));
        return new Inspection(path, tensors, "PEFT")
        {
            Architecture = "low-rank adapters (LoRA)",
            Parameters = tensors.Tensors.Values.Sum(tensor => tensor.Count),
            Config =
            [
                ("base", adapter.IsBaseThere ? adapter.Base : $"{adapter.Base} (not there)"),
                ("rank", string.Join(", ", adapter.Ranks)),
                ("factor", string.Join(", ", adapter.Factors.Select(factor => Text(factor)))),
                ("initialization", adapter.Initialization),
                ("adapters", Text(adapter.Modules.Count)),
                ("targets", string.Join(", ", adapter.Modules.Select(Last).Distinct())),
            ],
        };

        static string Last(string name) => name[(name.LastIndexOf('.') + 1)..];
    }

    private static Inspection OfFolder(string path, TensorSource source)
    {
        var config = HuggingFaceConfig.Load(System.IO.Path.Combine(path, ModelFolder.ConfigFile));
        if (config.ModelType is { } type && !Family.Knows(config))
            return new Inspection(path, source, "Hugging Face")
            {
                Architecture = $"{type} (not supported)", Config = PartFacts(ShownParts.Of(config)),
            };

        var folder = ModelFolder.Load(path, asStored: true, check: false);
        var (format, architecture) = folder.Family is { } family ? ("Hugging Face", family.Architecture)
            : ("Tessera", Parts.NameOf(folder.Config.Model));
        return OfModel(path, source, format, architecture, folder, new Dictionary<string, string>());
    }

    /// <summary>What of a model that no family reads would run, and what would not.</summary>
    private static List<(string Key, string Value)> PartFacts(IReadOnlyList<ShownPart> parts)
    {
        var facts = new List<(string, string)>();
        foreach (var (key, runs) in new[] { ("missing", false), ("would run", true) })
        {
            var shown = parts.Where(part => part.Runs == runs).Select(part => $"{part.Name} ({string.Join(", ", part.Keys)})").ToArray();
            if (shown.Length > 0) facts.Add((key, string.Join("; ", shown)));
        }

        return facts;
    }

    private static Inspection OfModel(
        string path, TensorSource source, string format, string architecture, ModelFolder folder,
        IReadOnlyDictionary<string, string> metadata) =>
        new(path, source, format)
        {
            Architecture = architecture, Config = ConfigOf(folder), Parameters = folder.Model.ParameterCount(),
            ActiveParameters = folder.Model.ActiveParameterCount(),
            Tokenizer = folder.HasTokenizer ? TokenizerFacts.Of(folder.Tokenizer) : null,
            HasChatTemplate = folder.PromptFormat.ChatTemplate is not null, Metadata = metadata,
        };

    private static List<(string Key, string Value)> ConfigOf(ModelFolder folder)
    {
        List<(string, string)> facts = [("width", Text(folder.Config.Model.Width)), ("vocabulary", Text(folder.Config.Vocabulary))];
        if (folder.Config.Model is not DecoderOptions options) return facts;
        var decoder = CanonicalOptions.Sized(options).Decoder;
        facts.Add(("layers", Text(decoder.Layers.Count)));
        facts.Add(("positions", folder.Model.LongestSequence == int.MaxValue ? "without limit" : Text(folder.Model.LongestSequence)));
        facts.Add(("attention", AttentionText(decoder, options.Width)));
        facts.Add(("feed-forward", FeedForwardText(decoder)));
        if (Rotary(decoder.Attention) is { } rotary)
            facts.Add(("rotary", $"base {Text(rotary.Theta)}{(rotary.Scaling is { } scaling ? $", {scaling}" : "")}"));
        facts.Add(("embeddings", options.TieEmbeddings ? "tied" : "not tied"));
        if (options.MtpDepth > 0) facts.Add(("later tokens", Text(options.MtpDepth)));
        return facts;
    }

    private static string AttentionText(TransformerOptions decoder, int width)
    {
        var windows = Enumerable.Range(0, decoder.Layers).Select(layer => decoder.MixerOf(layer).Options).OfType<MultiHeadOptions>()
            .Select(attention => attention.Pattern).OfType<WindowPattern>().ToArray();
        return decoder.Attention switch
        {
            LatentOptions latent when latent.SizesIn(width) is var sizes =>
                $"latent, {sizes.Heads} heads, rank {sizes.KvLoraRank}, widths {sizes.NopeHeadDim} + {sizes.RopeHeadDim}, "
                + $"values {sizes.VHeadDim}",
            MultiHeadOptions heads when heads.SizesIn(width) is var sizes =>
                $"{sizes.Heads} heads, {sizes.KeyValueHeads} of keys and values"
                + (windows.Length == 0 ? "" : $", a window of {windows[0].Window} in {windows.Length} layers"),
            var other => Parts.NameOf(other),
        };
    }

    private static string FeedForwardText(TransformerOptions decoder) => decoder.FeedForward switch
    {
        ExpertsOptions experts => $"{experts.Routed} experts of width {experts.Expert.Hidden}, {experts.Active} for each token"
            + (experts.SharedCount == 0 ? "" : $", {experts.SharedCount} shared")
            + (DenseLayers(decoder) is var dense and > 0 ? $"; {dense} dense layers" : ""),
        DenseOptions dense => $"{Parts.NameOf(dense)}, width {dense.Hidden}",
        var other => Parts.NameOf(other),
    };

    private static int DenseLayers(TransformerOptions decoder) =>
        Enumerable.Range(0, decoder.Layers).Count(layer => decoder.FeedForwardOf(layer).Options is DenseOptions);

    private static RotaryOptions? Rotary(MixerOptions attention) => attention switch
    {
        LatentOptions latent => latent.Position,
        MultiHeadOptions { Position: RotaryOptions rotary } => rotary,
        _ => null,
    };

    private static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);
}
