using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>Named tensors to and from safetensors files; names and shapes must agree exactly.</summary>
public static class Weights
{
    private const int NamesInMessage = 10;

    /// <summary>Writes the parameters of a model by their full names.</summary>
    public static void Save(string path, Module model) => Writer(model).Save(path);

    /// <summary>Sets the parameters of a model to those of a file: F32, or F16, BF16 and F64, which are converted.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or names or shapes differ: the message names the file, the tensor and both
    /// shapes, or the names that are missing and unexpected. The model is as it was.</exception>
    public static void Load(string path, Module model)
    {
        using var file = SafetensorsFile.Open(path);
        Load(file, model);
    }

    /// <inheritdoc cref="Load(string, Module)"/>
    public static void Load(SafetensorsFile file, Module model) => Load(file, Tensors(model));

    /// <summary>Sets tensors, such as what an optimizer remembers, to those of a file.</summary>
    /// <exception cref="InvalidDataException">Names, shapes or types differ; no tensor has been changed.</exception>
    public static void Load(SafetensorsFile file, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        RequireSameNames(file, tensors);
        foreach (var (name, tensor) in tensors) RequireFits(file, file[name], tensor);
        foreach (var (name, tensor) in tensors)
        {
            if (tensor.Type == ElementType.F32) file.ReadFloats(name, tensor.Floats);
            else file.ReadBytes(name, tensor.Bytes);
        }
    }

    /// <summary>A writer of the parameters of a model, to which more can be added.</summary>
    public static SafetensorsWriter Writer(Module model) => Writer(Tensors(model));

    /// <summary>A writer of named tensors.</summary>
    public static SafetensorsWriter Writer(IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, tensor) in tensors) writer.Add(name, tensor);
        return writer;
    }

    private static List<(string Name, Tensor Tensor)> Tensors(Module model) =>
        [.. model.Parameters().Select(own => (own.Name, own.Parameter.Value))];

    private static void RequireSameNames(SafetensorsFile file, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var wanted = tensors.Select(tensor => tensor.Name).ToHashSet();
        var missing = wanted.Where(name => !file.Tensors.ContainsKey(name)).ToList();
        var unexpected = file.Tensors.Keys.Where(name => !wanted.Contains(name)).ToList();
        if (missing.Count + unexpected.Count == 0) return;
        throw new InvalidDataException($"{file.Path}: does not have the model's tensors; missing: {List(missing)}; unexpected: {List(unexpected)}");
    }

    private static void RequireFits(SafetensorsFile file, SafetensorsEntry entry, Tensor tensor)
    {
        var sizes = tensor.Shape.AsSpan().ToArray().Select(size => (long)size);
        if (!entry.Shape.SequenceEqual(sizes))
            throw new InvalidDataException($"{file.Path}: tensor '{entry.Name}' has the shape [{string.Join(", ", entry.Shape)}], in the model {tensor.Shape}");
        var fits = tensor.Type == ElementType.F32
            ? entry.Type is SafetensorsType.F32 or SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F64
            : entry.Type == SafetensorsType.I32;
        if (!fits) throw new InvalidDataException($"{file.Path}: tensor '{entry.Name}' is of type {entry.Type.Name()}, in the model {tensor.Type}");
    }

    private static string List(List<string> names)
    {
        if (names.Count == 0) return "none";
        var shown = string.Join(", ", names.Order(StringComparer.Ordinal).Take(NamesInMessage));
        return names.Count <= NamesInMessage ? shown : $"{shown} and {names.Count - NamesInMessage} more";
    }
}
