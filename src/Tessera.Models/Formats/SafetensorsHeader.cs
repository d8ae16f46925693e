using System.Text.Json;

namespace Tessera.Models.Formats;

/// <summary>Reads and checks the header of a safetensors file. What is allocated is in proportion to the header's own bytes.</summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The most bytes of a header, as in the reference implementation.</summary>
    public const int MaximumBytes = 100_000_000;

    private readonly string _path;
    private readonly Dictionary<string, SafetensorsEntry> _entries = new(StringComparer.Ordinal);
    private Dictionary<string, string>? _metadata;

    private SafetensorsHeader(string path) => _path = path;

    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata => _metadata ?? [];

    /// <summary>Reads the header.</summary>
    /// <param name="path">The file's name, for messages.</param>
    /// <param name="json">The header.</param>
    /// <param name="dataBytes">How many bytes follow it.</param>
    /// <exception cref="InvalidDataException">The header is not what the format allows.</exception>
    public static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataBytes)
    {
        var header = new SafetensorsHeader(path);
        try
        {
            if (json.IsEmpty || json[0] != '{') throw header.Bad("the header does not begin with '{'");
            var reader = new Utf8JsonReader(json);
            reader.Read();
            while (header.NextKey(ref reader, "header") is { } name) header.ReadValue(ref reader, name);
            reader.Read(); // nothing but white space may follow, which the reader checks
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            // The reader reports text that is not UTF-8 as an invalid operation.
            throw new InvalidDataException($"{path}: the header is not valid JSON: {failure.Message}", failure);
        }

        header.RequireExactCover(dataBytes);
        return header;
    }

    private void ReadValue(ref Utf8JsonReader reader, string name)
    {
        if (name != "__metadata__")
        {
            if (!_entries.TryAdd(name, ReadEntry(ref reader, name))) throw Bad($"two tensors are named '{name}'");
            return;
        }

        if (_metadata is not null) throw Bad("__metadata__ comes twice");
        _metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        Expect(ref reader, JsonTokenType.StartObject, name, "an object");
        while (NextKey(ref reader, name) is { } key)
        {
            Expect(ref reader, JsonTokenType.String, $"{name}.{key}", "a string");
            if (!_metadata.TryAdd(key, reader.GetString()!)) throw Bad($"__metadata__ has the key '{key}' twice");
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        SafetensorsType? type = null;
        List<long>? shape = null, offsets = null;
        Expect(ref reader, JsonTokenType.StartObject, $"tensor '{name}'", "an object");
        while (NextKey(ref reader, name) is { } key)
        {
            var isAgain = key switch
            {
                "dtype" => type is not null,
                "shape" => shape is not null,
                "data_offsets" => offsets is not null,
                _ => false,
            };
            if (isAgain) throw Bad($"tensor '{name}' has {key} twice");
            switch (key)
            {
                case "dtype": type = ReadType(ref reader, name); break;
                case "shape": shape = ReadNumbers(ref reader, name, key); break;
                case "data_offsets": offsets = ReadNumbers(ref reader, name, key); break;
                default: throw Bad($"tensor '{name}' has the key '{key}'; allowed: dtype, shape, data_offsets");
            }
        }

        if (type is null) throw Bad($"tensor '{name}' has no dtype");
        if (shape is null) throw Bad($"tensor '{name}' has no shape");
        if (offsets is null) throw Bad($"tensor '{name}' has no data_offsets");
        if (offsets.Count != 2) throw Bad($"tensor '{name}' has {offsets.Count} data_offsets; allowed: 2, begin and end");
        var entry = new SafetensorsEntry(name, type.Value, shape, offsets[0], offsets[1] - offsets[0]);
        var needed = ByteCount(entry);
        if (needed != entry.ByteCount)
            throw Bad($"tensor {entry} takes {needed} bytes, but its data_offsets [{offsets[0]}, {offsets[1]}] hold {entry.ByteCount}");
        return entry;
    }

    private SafetensorsType ReadType(ref Utf8JsonReader reader, string name)
    {
        Expect(ref reader, JsonTokenType.String, $"dtype of tensor '{name}'", "a string");
        var text = reader.GetString()!;
        return SafetensorsTypes.TryParse(text, out var type)
            ? type
            : throw Bad($"tensor '{name}' has the dtype '{text}'; allowed: {SafetensorsTypes.AllNames}");
    }

    private List<long> ReadNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        var numbers = new List<long>();
        Expect(ref reader, JsonTokenType.StartArray, $"{key} of tensor '{name}'", "an array");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
                throw Bad($"{key} of tensor '{name}' holds {Text(reader)}; allowed: whole numbers from 0 to {long.MaxValue}");
            numbers.Add(number);
        }

        return numbers;
    }

    private long ByteCount(SafetensorsEntry entry)
    {
        try
        {
            return entry.Type.Bytes(entry.Shape);
        }
        catch (ArgumentException)
        {
            throw Bad($"tensor {entry} does not take whole bytes, of {entry.Type.Bits()} bits an element");
        }
        catch (OverflowException)
        {
            throw Bad($"tensor {entry} has more than {long.MaxValue} bytes");
        }
    }

    /// <summary>The tensors must follow each other without overlap or hole and fill the file.</summary>
    private void RequireExactCover(long dataBytes)
    {
        var end = 0L;
        foreach (var entry in _entries.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.ByteCount))
        {
            if (entry.Offset != end)
                throw Bad($"the bytes of tensor {entry} begin at {entry.Offset}; allowed: {end}, where those before it end");
            end = entry.Offset + entry.ByteCount;
        }

        if (end != dataBytes) throw Bad($"the tensors end at byte {end} after the header, but the file has {dataBytes} bytes there");
    }

    /// <summary>The next key of the object being read, or null at its end.</summary>
    private string? NextKey(ref Utf8JsonReader reader, string where)
    {
        if (!reader.Read()) throw Bad($"{where} is cut short");
        return reader.TokenType == JsonTokenType.EndObject ? null : reader.GetString()!;
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string where, string allowed)
    {
        if (!reader.Read()) throw Bad($"{where} is cut short");
        if (reader.TokenType != type) throw Bad($"{where} is {Text(reader)}; allowed: {allowed}");
    }

    private static string Text(in Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.StartArray => "an array",
        JsonTokenType.StartObject => "an object",
        JsonTokenType.String => "a string",
        _ => System.Text.Encoding.UTF8.GetString(reader.ValueSpan),
    };

    private InvalidDataException Bad(string problem) => new($"{_path}: {problem}");
}
