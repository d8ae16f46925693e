using System.Text.Json;
using Tessera.Text.Files;

namespace Tessera.Models.Formats;

/// <summary>
/// Tensors in several safetensors files, with an index that says which is where, as Hugging Face cuts large checkpoints:
/// <c>model.safetensors.index.json</c> beside <c>model-00001-of-00004.safetensors</c> and so on. Opening reads the index and the
/// header of each file and checks them against each other.
/// </summary>
internal sealed class SafetensorsShards : TensorSource
{
    /// <summary>What the name of an index ends with.</summary>
    public const string IndexEnding = ".safetensors.index.json";

    private const int MaxIndexBytes = 100_000_000;

    private readonly Dictionary<string, SafetensorsFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _fileOf = new(StringComparer.Ordinal);

    private SafetensorsShards(string path) : base(path)
    {
        try
        {
            ReadIndex();
            OpenFiles(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The names of the files, in the order in which the index comes to them.</summary>
    public IReadOnlyCollection<string> Files => _files.Keys;

    /// <summary>Opens an index and its files.</summary>
    /// <exception cref="FileNotFoundException">There is no such index, or not all of its files are there.</exception>
    /// <exception cref="InvalidDataException">The index or a file is damaged, or they do not agree: the message names the file, the tensor,
    /// what was found and what is allowed.</exception>
    public static SafetensorsShards Open(string path) => new(path);

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var file in _files.Values) file.Dispose();
    }

    private protected override (StoredFile File, long Position) Place(string name) => _files[_fileOf[name]].PlaceOf(name);

    private void ReadIndex()
    {
        var size = new FileInfo(Path).Length;
        if (size > MaxIndexBytes) throw Bad($"has {size} bytes; allowed for an index: {MaxIndexBytes}");
        FileKinds.Require(Path, FileKind.Json, "an index in JSON");
        var bytes = File.ReadAllBytes(Path).AsSpan();
        var reader = new Utf8JsonReader(bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw Bad("does not hold a JSON object");
            var hasMap = false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isMap = reader.ValueTextEquals("weight_map"u8);
                if (isMap && hasMap) throw Bad("has weight_map twice");
                reader.Read();
                if (isMap) ReadMap(ref reader);
                else reader.Skip();
                hasMap |= isMap;
            }

            reader.Read(); // nothing but white space may follow, which the reader checks
            if (!hasMap) throw Bad("has no weight_map");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            // The reader reports text that is not UTF-8 as an invalid operation.
            throw new InvalidDataException($"{Path}: is not valid JSON: {failure.Message}", failure);
        }
    }

    private void ReadMap(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad("weight_map is not an object of tensors and files");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String) throw Bad($"weight_map: the file of tensor '{name}' is not a string");
            var file = reader.GetString()!;
            RequireFileName(name, file);
            if (!_fileOf.TryAdd(name, file)) throw Bad($"weight_map has two tensors named '{name}'");
        }

        if (_fileOf.Count == 0) throw Bad("weight_map names no tensor");
    }

    /// <summary>A file stands beside the index: a name that leads elsewhere is not followed.</summary>
    private void RequireFileName(string tensor, string file)
    {
        var isPlain = file.Length > 0 && file.IndexOfAny(['/', '\\', ':', '\0']) < 0 && file is not ("." or "..");
        if (!isPlain) throw Bad($"weight_map: tensor '{tensor}' is said to be in '{file}'; allowed: the name of a file beside the index");
        if (!file.EndsWith(".safetensors", StringComparison.Ordinal))
            throw Bad($"weight_map: tensor '{tensor}' is said to be in '{file}'; allowed: a name that ends with .safetensors");
    }

    private void OpenFiles(string folder)
    {
        var missing = _fileOf.Values.Distinct().Where(file => !File.Exists(System.IO.Path.Combine(folder, file))).ToList();
        if (missing.Count > 0)
            throw new FileNotFoundException(
                $"{Path}: not all files of the index are there; missing: {NameList.Of(missing)}",
                System.IO.Path.Combine(folder, missing[0]));

        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        foreach (var name in _fileOf.Values.Distinct())
        {
            var file = SafetensorsFile.Open(System.IO.Path.Combine(folder, name));
            _files.Add(name, file);
            foreach (var tensor in file.Tensors.Values)
            {
                if (!_fileOf.TryGetValue(tensor.Name, out var expected))
                    throw Bad($"{name} holds tensor {tensor}, which the index does not name");
                if (expected != name) throw Bad($"tensor '{tensor.Name}' is in {name}; the index has it in {expected}");
                tensors.Add(tensor.Name, tensor);
            }
        }

        var absent = _fileOf.Keys.Where(name => !tensors.ContainsKey(name)).ToList();
        if (absent.Count > 0) throw Bad($"the files do not hold all tensors of the index; missing: {NameList.Of(absent)}");
        Tensors = tensors;
    }

    private InvalidDataException Bad(string problem) => new($"{Path}: {problem}");
}
