using System.Runtime.InteropServices;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Tensors;

namespace Tessera.Models.Verification;

/// <summary>The inputs and outputs that another program recorded for a model, in <c>expected.safetensors</c>, and how, in
/// <c>case.json</c>.</summary>
internal sealed class RecordedOutputs : IDisposable
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "expected.safetensors";

    /// <summary>What DeepSeek weighs the losses of later tokens with, and recordings that do not say.</summary>
    private const double LaterWeightOtherwise = 0.3;

    private readonly SafetensorsFile _file;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    private RecordedOutputs(SafetensorsFile file, HuggingFaceConfig? recording) =>
        (_file, LaterWeight) = (file, (float)(recording?.NumberOrNull("loss_weight") ?? LaterWeightOtherwise));

    /// <summary>What the recording weighs the losses of later tokens with.</summary>
    public float LaterWeight { get; }

    /// <summary>The names of what was recorded.</summary>
    public IEnumerable<string> Names => _file.Tensors.Keys;

    /// <summary>Opens the file of a folder.</summary>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static RecordedOutputs Open(string folder)
    {
        var (path, recording) = (Path.Combine(folder, FileName), Path.Combine(folder, "case.json"));
        return File.Exists(path)
            ? new RecordedOutputs(SafetensorsFile.Open(path), File.Exists(recording) ? HuggingFaceConfig.Load(recording) : null)
            : throw new FileNotFoundException($"'{folder}' has no recorded outputs: there is no {FileName}", path);
    }

    /// <summary>Whether something was recorded.</summary>
    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    /// <summary>Throws unless all that was recorded has been read.</summary>
    /// <exception cref="InvalidDataException">Something was not: its name is unknown, or what it needs is not there.</exception>
    public void RequireAllRead()
    {
        string[] left = [.. Names.Where(name => !_read.Contains(name)).Order(StringComparer.Ordinal)];
        if (left.Length > 0)
            throw new InvalidDataException(
                $"{_file.Path}: cannot be compared, as the name is unknown or what it needs was not recorded: {NameList.Of(left)}");
    }

    /// <summary>The numbers of a tensor.</summary>
    /// <exception cref="InvalidDataException">It is not there, or not of as many numbers as expected.</exception>
    public float[] Floats(string name, long count)
    {
        var stored = Find(name);
        if (stored.Count != count) throw new InvalidDataException($"{_file.Path}: {stored} should have {count} numbers");
        var numbers = new float[count];
        _file.ReadFloats(name, numbers);
        return numbers;
    }

    /// <summary>Rows of token ids or of a mask, [rows, length], or one row [length].</summary>
    /// <exception cref="InvalidDataException">The tensor is not there, or of another type or rank.</exception>
    public int[][] Rows(string name)
    {
        var stored = Find(name);
        if (stored.Shape.Count is not (1 or 2) || stored.Type is not ("I32" or "I64") || stored.Count is 0 or > int.MaxValue / sizeof(long))
            throw new InvalidDataException($"{_file.Path}: {stored} should be rows of whole numbers, I32 or I64");
        var bytes = new byte[stored.ByteCount];
        _file.ReadBytes(name, bytes);
        // What does not fit is no token and no mask: −1 is none either.
        int[] all = stored.Type == "I32"
            ? MemoryMarshal.Cast<byte, int>(bytes).ToArray()
            : [.. MemoryMarshal.Cast<byte, long>(bytes).ToArray().Select(id => id is >= 0 and <= int.MaxValue ? (int)id : -1)];
        return [.. all.Chunk((int)stored.Shape[^1])];
    }

    /// <summary>As <see cref="Rows"/>, of tokens that a model has.</summary>
    public int[][] Tokens(string name, int vocabulary)
    {
        var rows = Rows(name);
        foreach (var id in rows.SelectMany(row => row))
            if (id < 0 || id >= vocabulary)
                throw new InvalidDataException($"{_file.Path}: '{name}' has the token {id}; allowed: 0 to {vocabulary - 1}");
        return rows;
    }

    private StoredTensor Find(string name)
    {
        _read.Add(name);
        return _file[name];
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
