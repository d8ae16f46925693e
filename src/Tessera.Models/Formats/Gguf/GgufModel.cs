using Tessera.Nn.Attention;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>Models to and from GGUF files, as llama.cpp has them.</summary>
public static class GgufModel
{
    /// <summary>The key of a file's metadata that names the kind of its model, such as <c>llama</c>.</summary>
    public const string ArchitectureKey = GgufArchitecture.Key;

    private const string HeadTensor = "output.weight", TableTensor = "token_embd.weight";
    private const uint ModelQuantization = 2;

    // llama_ftype, which files give for people to read.
    private static readonly Dictionary<ElementType, uint> s_fileTypes = new()
    {
        [ElementType.F32] = 0, [ElementType.F16] = 1, [ElementType.Q4_0] = 2, [ElementType.Q8_0] = 7, [ElementType.Q4_K] = 14,
        [ElementType.Q6_K] = 18, [ElementType.BF16] = 32, [ElementType.MXFP4] = 38, [ElementType.Q4_1] = 3, [ElementType.Q5_0] = 8,
        [ElementType.Q5_1] = 9, [ElementType.Q5_K] = 16, [ElementType.Q2_K] = 10, [ElementType.Q3_K] = 11, [ElementType.IQ4_NL] = 25,
        [ElementType.IQ4_XS] = 30,
    };

    /// <summary>The model in a file; its weights are read when they are touched, and the file stays in use until then.</summary>
    /// <param name="file">The file.</param>
    /// <param name="asStored">Whether matrices stay in the type they are stored in, for models that are not trained.</param>
    /// <exception cref="InvalidDataException">It holds no model that is supported, or is damaged; the message names the key or
    /// tensor.</exception>
    public static (DecoderOptions Options, SequenceModel Model) Open(GgufFile file, bool asStored)
    {
        var architecture = GgufArchitectures.Of(file);
        var (options, vocabulary) = architecture.Read(file);
        try
        {
            var model = options.Build(vocabulary, seed: 0);
            Weights.Load(model, file, architecture.Names(options, file.Tensors.ContainsKey), asStored);
            return (options, model);
        }
        catch (Nn.RecipeException error)
        {
            throw new InvalidDataException(
                $"{file.Path}: metadata of '{architecture.Name}' give a model that cannot be: {error.Message}", error);
        }
    }

    /// <summary>The names of the architectures that are known, such as <c>llama</c>.</summary>
    public static IReadOnlyList<string> Architectures { get; } = [.. GgufArchitectures.Names];

    /// <summary>Whether a file holds a model of an architecture that is known.</summary>
    public static bool IsSupported(GgufFile file) => GgufArchitectures.IsSupported(file);

    /// <summary>What writes a model to a file: its metadata, to which those of a tokenizer may be added, and its tensors.</summary>
    /// <param name="options">What the model is made of.</param>
    /// <param name="model">Its weights must not change until they are written.</param>
    /// <param name="type">The type of matrices; null to keep each in its own. Norms, biases and routers are F32; rows that are not
    /// whole blocks of a quantized type, and the head of models in 4 bits, have a finer one, as llama.cpp writes them.</param>
    /// <param name="source">As of <see cref="Weights.Outgoing"/>.</param>
    /// <param name="architecture">The one to prefer of those that can say the model; null: what its parts say.</param>
    /// <exception cref="ArgumentException">No architecture of GGUF can say the model, or the type is not one of matrices; the message says
    /// why.</exception>
    public static GgufWriter Writer(
        DecoderOptions options, SequenceModel model, ElementType? type = null, (TensorSource Tensors, TensorNames Names)? source = null,
        string? architecture = null)
    {
        if (type is { } asked && !(s_fileTypes.ContainsKey(asked) && asked.CanBeWritten()))
            throw new ArgumentException(
                $"matrices in a GGUF file cannot be {asked}; allowed: "
                + string.Join(", ", s_fileTypes.Keys.Where(ElementTypes.CanBeWritten)), nameof(type));
        var chosen = GgufArchitectures.For(options, architecture);
        var writer = new GgufWriter();
        writer.Metadata[GgufArchitecture.Key] = GgufValue.Of(chosen.Name);
        writer.Metadata["general.type"] = GgufValue.Of("model");
        chosen.Write(options, model.Vocabulary, writer.Metadata);

        var bare = WithoutLaterTokens(options, model);
        var tensors = Weights.Outgoing(bare, chosen.Names(options, _ => false), source);
        var hasHead = tensors.Any(tensor => tensor.Name == HeadTensor);
        var bytes = new Dictionary<ElementType, long>();
        foreach (var (name, values) in chosen.Extras(options))
            writer.Add(
                name, GgufType.F32, [values.Length],
                stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan())));
        foreach (var tensor in tensors)
        {
            var stored = TypeOf(tensor, type, isHead: tensor.Name == (hasHead ? HeadTensor : TableTensor));
            writer.Add(tensor.Name, GgufTypes.Of(stored), [.. tensor.Shape], stream => tensor.WriteTo(stream, stored));
            bytes[stored] = bytes.GetValueOrDefault(stored) + stored.Bytes(tensor.Count);
        }

        writer.Metadata["general.file_type"] = GgufValue.Of(s_fileTypes[type ?? bytes.MaxBy(each => each.Value).Key]);
        writer.Metadata["general.quantization_version"] = GgufValue.Of(ModelQuantization);
        return writer;
    }

    /// <summary>The type that a tensor is written in.</summary>
    private static ElementType TypeOf(OutgoingTensor tensor, ElementType? wanted, bool isHead)
    {
        var isFine = tensor.Shape.Count == 1 || tensor.Name.EndsWith("_norm.weight", StringComparison.Ordinal)
            || tensor.Name.EndsWith(".bias", StringComparison.Ordinal)
            || tensor.Name.Contains(".ffn_gate_inp", StringComparison.Ordinal) || tensor.Name == "position_embd.weight";
        if (isFine) return ElementType.F32;
        var type = wanted ?? tensor.Type;
        if (isHead && wanted is ElementType.Q4_0 or ElementType.Q4_1 or ElementType.Q5_0 or ElementType.Q4_K or ElementType.Q5_K)
            type = ElementType.Q6_K;
        if (tensor.Shape[^1] % type.BlockElements() != 0 && type.BlockElements() == 256) type = ElementType.Q8_0;
        return tensor.Shape[^1] % type.BlockElements() == 0 ? type : ElementType.F16;
    }

    /// <summary>The same model without its modules for later tokens, over the same weights.</summary>
    private static SequenceModel WithoutLaterTokens(DecoderOptions options, SequenceModel model)
    {
        if (options.MtpDepth == 0) return model;
        var bare = (options with { MtpDepth = 0 }).Build(model.Vocabulary, seed: 0);
        var whole = model.Parameters().ToDictionary(own => own.Name, own => own.Parameter, StringComparer.Ordinal);
        foreach (var (name, parameter) in bare.Parameters()) parameter.ReadFrom(whole[name].Peek, whole[name].Type, isFixed: true);
        return bare;
    }
}
