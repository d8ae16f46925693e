using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>The weights of a checkpoint in a folder, as Hugging Face names the files: <c>model.safetensors</c>, or several with an
/// index.</summary>
internal static partial class SafetensorsFolder
{
    /// <summary>The name of a file that holds all tensors.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>The name of the index of several files.</summary>
    public const string IndexFile = "model" + SafetensorsShards.IndexEnding;

    /// <summary>The most bytes of tensors in a file, unless said otherwise.</summary>
    public const long DefaultShardBytes = 5_000_000_000;

    private static readonly JsonWriterOptions s_json = new()
    {
        Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Opens the tensors of a folder: those of <see cref="SingleFile"/> where it has one, else those of
    /// <see cref="IndexFile"/>.</summary>
    /// <exception cref="FileNotFoundException">The folder has neither.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static TensorSource Open(string folder)
    {
        var (single, index) = (Path.Combine(folder, SingleFile), Path.Combine(folder, IndexFile));
        if (File.Exists(single)) return SafetensorsFile.Open(single);
        if (File.Exists(index)) return SafetensorsShards.Open(index);
        ReadableFolder.Require(folder);
        throw new FileNotFoundException(
            $"'{folder}' holds no weights: there is neither {SingleFile} nor {IndexFile}{ReadableFolder.OtherWeights(folder)}", single);
    }

    /// <summary>Writes tensors to a folder, in one file or, where they are more than fit one, in several with an index. Each file appears
    /// when it is whole; weights that were there before under other names are removed at the end.</summary>
    /// <param name="folder">Is there.</param>
    /// <param name="tensors">What <see cref="Weights.Outgoing"/> gave; each is read when it is its turn.</param>
    /// <param name="type">What a tensor is written as: F32, F16 or BF16; where null, as it is, and F32 where it is quantized.</param>
    /// <param name="maximumShardBytes">The most bytes of tensors in a file; a larger tensor has a file of its own.</param>
    /// <param name="progress">Is told the bytes of tensors written so far and in all; may be null.</param>
    /// <param name="cancellation">Stops it: files that are whole stay.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Save(
        string folder, IReadOnlyList<OutgoingTensor> tensors, Func<OutgoingTensor, ElementType>? type = null,
        long maximumShardBytes = DefaultShardBytes,
        IProgress<(long Written, long All)>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumShardBytes, 1);
        var typed = tensors.Select(tensor => new Typed(tensor, type?.Invoke(tensor) ?? AsItIs(tensor.Type))).ToList();
        var shards = Cut(typed, maximumShardBytes);
        var names = shards.Count == 1 ? [SingleFile] : shards.Select((_, index) => ShardName(index, shards.Count)).ToList();
        var (before, all) = (0L, typed.Sum(tensor => tensor.Bytes));
        foreach (var (shard, name) in shards.Zip(names))
        {
            var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } }; // without it transformers refuses a file
            foreach (var tensor in shard) writer.Add(tensor.Tensor, tensor.Type);
            writer.Save(Path.Combine(folder, name), progress is null ? null : new Shifted(progress, before, all), cancellation);
            before += shard.Sum(tensor => tensor.Bytes);
        }

        if (shards.Count > 1) WriteIndex(Path.Combine(folder, IndexFile), shards, names);
        RemoveOthers(folder, shards.Count > 1 ? [.. names, IndexFile] : names);
    }

    private static ElementType AsItIs(ElementType type) => type is ElementType.F16 or ElementType.BF16 ? type : ElementType.F32;

    /// <summary>Fills one file after the other.</summary>
    private static List<List<Typed>> Cut(List<Typed> tensors, long max)
    {
        List<List<Typed>> shards = [[]];
        var bytes = 0L;
        foreach (var tensor in tensors)
        {
            if (bytes + tensor.Bytes > max && shards[^1].Count > 0)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += tensor.Bytes;
        }

        return shards;
    }

    private static string ShardName(int index, int count) =>
        string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");

    private static void WriteIndex(string path, List<List<Typed>> shards, List<string> names)
    {
        var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_parameters", shards.Sum(shard => shard.Sum(tensor => tensor.Tensor.Count)));
            json.WriteNumber("total_size", shards.Sum(shard => shard.Sum(tensor => tensor.Bytes)));
            json.WriteEndObject();
            json.WriteStartObject("weight_map");
            var files = shards.Zip(names).SelectMany(shard => shard.First.Select(tensor => (tensor.Tensor.Name, File: shard.Second)));
            foreach (var (name, file) in files.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)) json.WriteString(name, file);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        WholeFile.Write(path, buffer.WriteTo);
    }

    /// <summary>Removes weights of other names, which would be mistaken for those that were written, or stay for nothing.</summary>
    internal static void RemoveOthers(string folder, List<string> written)
    {
        foreach (var file in Directory.GetFiles(folder, "model*"))
        {
            var name = Path.GetFileName(file);
            var isOurs = name is SingleFile or IndexFile || ShardPattern().IsMatch(name);
            if (isOurs && !written.Contains(name)) File.Delete(file);
        }
    }

    [GeneratedRegex(@"^model-\d{5}-of-\d{5}\.safetensors$", RegexOptions.CultureInvariant)]
    private static partial Regex ShardPattern();

    private sealed record Typed(OutgoingTensor Tensor, ElementType Type)
    {
        public long Bytes { get; } = Type.Bytes(Tensor.Count);
    }

    /// <summary>Progress of one file as part of that of all.</summary>
    private sealed class Shifted(IProgress<(long Written, long All)> progress, long before, long all) : IProgress<(long Written, long All)>
    {
        public void Report((long Written, long All) value) => progress.Report((before + value.Written, all));
    }
}
