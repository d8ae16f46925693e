using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// How a kind of model lies in a GGUF file: which options its metadata stand for, and which of its tensors are which of ours.
/// Each is what llama.cpp's model of that name reads.
/// </summary>
internal abstract class GgufArchitecture
{
    /// <summary>The key that names the architecture of a file.</summary>
    public const string Key = "general.architecture";

    /// <summary>The key, after the architecture's name, of the width of dense layers.</summary>
    public const string Hidden = "feed_forward_length";

    private protected const string Experts = "expert_count", ActiveExperts = "expert_used_count";
    private protected const string ExpertHidden = "expert_feed_forward_length", KeyWidth = "attention.key_length",
        ValueWidth = "attention.value_length";
    private protected const string Heads = "attention.head_count", KeyValueHeads = "attention.head_count_kv",
        RmsEpsilon = "attention.layer_norm_rms_epsilon";
    private const string Layers = "block_count", Context = "context_length", Width = "embedding_length";
    private const string Embedding = "token_embd.weight", Output = "output.weight";
    private const int MaxLayers = 256;

    private protected GgufArchitecture(string name) => Name = name;

    /// <summary>What <see cref="Key"/> says, such as <c>llama</c>.</summary>
    public string Name { get; }

    /// <summary>The options and the number of tokens of the model in a file.</summary>
    /// <exception cref="InvalidDataException">The metadata are not those of such a model; the message names the key.</exception>
    public (DecoderOptions Options, int Vocabulary) Read(GgufFile file)
    {
        var keys = new GgufKeys(file, Name);
        var (layers, width) = (keys.Count(Layers), keys.Count(Width));
        if (layers > MaxLayers) throw keys.Wrong(Layers, layers, $"1 to {MaxLayers}");
        var table = file[Embedding];
        if (table.Shape.Count != 2 || table.Shape[1] != width || table.Shape[0] is < 1 or > int.MaxValue)
            throw new InvalidDataException($"{file.Path}: tensor {table} is to be [vocabulary, {width}]");
        var options = new DecoderOptions
        {
            Width = width, TieEmbeddings = !keys.HasTensor(Output), EmbeddingScale = 1,
            Decoder = ReadStack(keys, layers, width, keys.Count(Context)),
        };
        return (Completed(options, keys), (int)table.Shape[0]);
    }

    /// <summary>Writes the options of a model among the metadata of a file.</summary>
    /// <param name="options">One that <see cref="GgufArchitectures.For"/> gave this architecture.</param>
    /// <param name="vocabulary">How many tokens the model knows.</param>
    /// <param name="metadata">Takes the keys.</param>
    public void Write(DecoderOptions options, int vocabulary, IDictionary<string, GgufValue> metadata)
    {
        metadata[Key] = GgufValue.Of(Name);
        Set(Layers, options.Decoder.Layers);
        Set(Width, options.Width);
        Set("vocab_size", vocabulary);
        WriteStack(CanonicalOptions.Sized(options), (key, value) => metadata[$"{Name}.{key}"] = value);

        void Set(string key, int count) => metadata[$"{Name}.{key}"] = GgufValue.Of((uint)count);
    }

    /// <summary>What is lost, or llama.cpp does otherwise, for people to know; often nothing.</summary>
    public virtual IEnumerable<string> Notes(DecoderOptions options)
    {
        if (options.MtpDepth > 0)
            yield return $"the {options.MtpDepth} modules for multi-token prediction (MTP) are left out: llama.cpp's {Name} has none";
    }

    /// <summary>The table of names of a model of this architecture.</summary>
    /// <param name="options">The model's. Files know no scales of embeddings and logits: their tables are multiplied by them.</param>
    /// <param name="has">Whether the file has, or is to have, a tensor.</param>
    public TensorNames Names(DecoderOptions options, Func<string, bool> has)
    {
        var names = new TensorNames();
        AddTables(names, options);
        names.Ignored(GgufRotary.Divisors);
        for (var layer = 0; layer < options.Decoder.Layers; layer++) AddLayer(names, options, layer, has);
        AddEnds(names, options);
        return names;
    }

    /// <summary>Small tensors that say what metadata cannot: divisors of the frequencies of rotary positions.</summary>
    public virtual IEnumerable<(string Name, float[] Values)> Extras(DecoderOptions options)
    {
        if (options.Decoder.Attention is not MultiHeadOptions { Position: RotaryOptions rotary } attention) yield break;
        if (GgufRotary.DivisorsOf(rotary, attention.SizesIn(options.Width).HeadWidth) is { } divisors)
            yield return (GgufRotary.Divisors, divisors);
    }

    /// <summary>Whether a model is of this kind, so that an error should say what is wrong with it as one.</summary>
    public abstract bool IsNear(DecoderOptions options);

    /// <summary>What this architecture cannot say of a model, or null.</summary>
    private protected abstract string? WhyNotStack(DecoderOptions options);

    private protected abstract TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions);

    private protected abstract void WriteStack(DecoderOptions options, Action<string, GgufValue> set);

    private protected abstract void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has);

    private protected virtual void AddEnds(TensorNames names, DecoderOptions options) =>
        names.Same("decoder.norm.weight", "output_norm.weight");

    /// <summary>The options with what metadata say of the model around its layers; often nothing.</summary>
    private protected virtual DecoderOptions Completed(DecoderOptions options, GgufKeys keys) => options;

    /// <summary>What tables are multiplied by, since neither metadata nor llama.cpp know of it.</summary>
    private protected virtual (float Embedding, float Logits) TableScales(DecoderOptions options) =>
        (options.EmbeddingScale ?? MathF.Sqrt(options.Width), options.LogitScale);

    private void AddTables(TensorNames names, DecoderOptions options)
    {
        const string OurEmbedding = "embed_tokens.weight", OurHead = "lm_head.weight";
        var (scale, logitScale) = TableScales(options);
        if (options.TieEmbeddings && (scale != 1 || logitScale != 1))
        {
            names.Add(new ScaledLayout(OurEmbedding, (Embedding, scale), (Output, logitScale)));
            return;
        }

        Add(OurEmbedding, Embedding, scale);
        if (!options.TieEmbeddings) Add(OurHead, Output, logitScale);

        void Add(string ours, string theirs, float factor)
        {
            if (factor == 1) names.Same(ours, theirs);
            else names.Add(new ScaledLayout(ours, (theirs, factor)));
        }
    }

    private protected static void SetContext(Action<string, GgufValue> set, int positions) => set(Context, GgufValue.Of((uint)positions));

    private protected static RmsNormOptions ReadNorm(GgufKeys keys) => new(keys.Number(RmsEpsilon));

    /// <summary>What this architecture cannot say of a model, or null.</summary>
    public string? WhyNot(DecoderOptions options) => WhyNotAround(options) ?? WhyNotStack(options);

    /// <summary>What files of most architectures leave unsaid.</summary>
    private protected virtual string? WhyNotAround(DecoderOptions options)
    {
        var stack = options.Decoder;
        return options.LogitSoftCap != 0 ? "it has a soft cap of logits"
            : stack.NormPlacement != NormPlacement.PreNorm ? $"its layers have the form {stack.NormPlacement}, not PreNorm"
            : stack.ResidualScale != 1 ? "it scales what layers add to the stream"
            : stack.Norm is RmsNormOptions { UnitOffset: true } ? "its norms multiply by one more than their weights"
            : null;
    }
}
