namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// How a checkpoint's weights are quantized, by the <c>quantization_config</c> of its <c>config.json</c>: 8-bit floats with scales as
/// DeepSeek-V3 and Qwen 3 publish them (<c>fp8</c>) or as compressed-tensors writes them (<c>float-quantized</c>), and the 4-bit floats of
/// gpt-oss (<c>mxfp4</c>). How activations were rounded beside them is not repeated: they stay as they are.
/// </summary>
internal sealed record Quantization
{
    private const string Key = "quantization_config", Method = "quant_method", Fp8 = "fp8", Mxfp4 = "mxfp4",
        Compressed = "compressed-tensors", FloatQuantized = "float-quantized";
    private const string Allowed = $"{Fp8}, {Mxfp4}, {Compressed} of the format {FloatQuantized}, or weights that are not quantized";
    private const string Weight = ".weight", Blocks = "_blocks", Scales = "_scales";

    // What tells how activations and caches are rounded.
    private static readonly string[] s_ofActivations = [".input_scale", ".activation_scale"];

    private Quantization(string method) => Name = method;

    /// <summary>The method, such as <c>fp8</c>.</summary>
    public string Name { get; }

    /// <summary>Rows and columns that share a scale; null where none are said.</summary>
    public (int Rows, int Columns)? Block { get; private init; }

    /// <summary>What a configuration says; null where weights are not quantized.</summary>
    /// <exception cref="InvalidDataException">It names a method that is not known, or a variant that is not.</exception>
    public static Quantization? Read(HuggingFaceConfig config)
    {
        if (config.Object(Key) is not { } said) return null;
        var method = said.Text(Method, "");
        return method switch
        {
            Fp8 => new Quantization(method) { Block = ReadBlock(said, "weight_block_size") },
            Mxfp4 => new Quantization(method),
            Compressed => ReadCompressed(said),
            _ => throw said.Problem(Method, method.Length == 0 ? "missing" : method, Allowed),
        };
    }

    /// <summary>The tensors of a checkpoint with numbers and scales as one.</summary>
    /// <param name="source">Is disposed with what is returned.</param>
    /// <exception cref="InvalidDataException">Numbers and scales do not belong together, or one lacks the other.</exception>
    public TensorSource Over(TensorSource source)
    {
        var (scaled, hidden) = (new List<ScaledTensor>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var tensor in source.Tensors.Values)
        {
            if (Name == Mxfp4 && tensor.Name.EndsWith(Blocks, StringComparison.Ordinal))
                scaled.Add(new Mxfp4Tensor(source, tensor, Beside(tensor, tensor.Name[..^Blocks.Length] + Scales)));
            else if (Name != Mxfp4 && tensor.Type == "F8_E4M3" && tensor.Name.EndsWith(Weight, StringComparison.Ordinal))
                scaled.Add(new Fp8Tensor(source, tensor, Beside(tensor, tensor.Name + (Name == Fp8 ? "_scale_inv" : "_scale")), Block));
            else if (Name != Mxfp4 && s_ofActivations.Any(end => tensor.Name.EndsWith(end, StringComparison.Ordinal)))
                hidden.Add(tensor.Name);
        }

        return new ScaledSource(source, scaled, hidden);

        StoredTensor Beside(StoredTensor tensor, string scales)
        {
            hidden.Add(scales);
            return source.Tensors.TryGetValue(scales, out var found)
                ? found
                : throw new InvalidDataException($"{source.Path}: tensor {tensor} has no scales: there is no tensor '{scales}'");
        }
    }

    private static Quantization ReadCompressed(HuggingFaceConfig said)
    {
        var format = said.Text("format", "");
        said.Require(format == FloatQuantized, "format", format.Length == 0 ? "missing" : format, FloatQuantized);
        if (said.Object("kv_cache_scheme") is { } scheme) throw said.Problem("kv_cache_scheme", "an object", "null");
        (int, int)? block = null;
        var groups = said.Object("config_groups") ?? throw said.Problem("config_groups", "missing", "an object { … }");
        foreach (var key in groups.Keys)
        {
            var weights = groups.Object(key)?.Object("weights") ?? throw groups.Problem(key, "without weights", "an object with weights");
            var (bits, type, strategy) = (weights.Whole("num_bits", 8), weights.Text("type", "float"), weights.Text("strategy", "tensor"));
            weights.Require(bits == 8, "num_bits", bits, "8");
            weights.Require(type == "float", "type", type, "float");
            weights.Require(strategy is "tensor" or "channel" or "block", "strategy", strategy, "tensor, channel, block");
            block ??= ReadBlock(weights, "block_structure");
        }

        return new Quantization(Compressed) { Block = block };
    }

    private static (int, int)? ReadBlock(HuggingFaceConfig said, string key) => said.Wholes(key) switch
    {
        null => null,
        [> 0 and var rows, > 0 and var columns] => (rows, columns),
        var other => throw said.Problem(key, $"[{string.Join(", ", other)}]", "two whole numbers above 0"),
    };
}
