using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Tensors;

namespace Tessera.Models.Conversion;

/// <summary>Tensors cut into safetensors files of a size, with an index where there are several, as Hugging Face's hub has them.</summary>
/// <param name="mostBytes">How many bytes of tensors a file may have; one that is larger has a file of its own.</param>
internal sealed class SafetensorsPlan(long mostBytes)
{
    private readonly List<List<(OutgoingTensor Tensor, ElementType Type)>> _files = [];
    private long _bytesOfLast;
    private long _bytes;

    /// <summary>Adds a tensor to the last file, or to a new one where that is full.</summary>
    public void Add(OutgoingTensor tensor, ElementType type)
    {
        var bytes = type.Bytes(tensor.Count);
        if (_files.Count == 0 || (_bytesOfLast > 0 && _bytesOfLast + bytes > mostBytes))
        {
            _files.Add([]);
            _bytesOfLast = 0;
        }

        _files[^1].Add((tensor, type));
        _bytesOfLast += bytes;
        _bytes += bytes;
    }

    /// <summary>Writes the files.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="progress">Is told the bytes of tensors written so far and in all; may be null.</param>
    /// <returns>How many bytes the tensors take.</returns>
    public long Write(string folder, IProgress<(long Written, long All)>? progress)
    {
        var (map, written) = (new SortedDictionary<string, JsonNode?>(StringComparer.Ordinal), 0L);
        for (var index = 0; index < _files.Count; index++)
        {
            var name = _files.Count == 1 ? SafetensorsShards.SingleFile : string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{_files.Count:D5}.safetensors");
            var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
            foreach (var (tensor, type) in _files[index])
            {
                map[tensor.Name] = name;
                writer.Add(tensor.Name, Enum.Parse<SafetensorsType>(type.ToString()), [.. tensor.Shape], stream =>
                {
                    tensor.WriteTo(stream, type);
                    progress?.Report((written += type.Bytes(tensor.Count), _bytes));
                });
            }

            writer.Save(Path.Combine(folder, name));
        }

        if (_files.Count == 1) return _bytes;
        var list = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = _bytes }, ["weight_map"] = new JsonObject(map) };
        File.WriteAllText(Path.Combine(folder, SafetensorsShards.IndexFile), list.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        return _bytes;
    }
}
