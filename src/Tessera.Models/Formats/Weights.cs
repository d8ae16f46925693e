using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>The weights of models, and other named tensors, from and to files; names and shapes must agree exactly.</summary>
public static class Weights
{
    /// <summary>Makes a model read its weights from a checkpoint, each when it is first touched: only names and shapes are looked at
    /// now.</summary>
    /// <param name="model">Its parameters forget what they were.</param>
    /// <param name="source">Stays in use; it is closed when no parameter needs it any more. Disposed before, parameters that have not been
    /// touched can no longer be read.</param>
    /// <param name="names">Which parameter is which tensor; names every parameter.</param>
    /// <param name="asStored">Whether weights of matrices stay in the type they are stored in (BF16, F16, quantized), and in the mapped
    /// file where nothing has to be rearranged, for models that are not trained; else they become F32 in memory of their own.</param>
    /// <param name="maps">Whether such weights may lie in the mapped file; else each is copied out when it is touched, which for one pass
    /// over a large file takes less memory.</param>
    /// <exception cref="InvalidDataException">Names, shapes or types do not agree: the message names the file and the tensors that are
    /// missing, unexpected or differ. The model is as it was.</exception>
    /// <exception cref="InvalidOperationException">The table does not name the model's parameters.</exception>
    public static void Load(Module model, TensorSource source, TensorNames names, bool asStored = false, bool maps = true) =>
        new WeightsLoader(model, source, names).Load(asStored, maps);

    /// <summary>Sets the parameters of a model to those of one of our own files: F32, or what can be converted to it.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or names or shapes differ: the message names the file, the tensor and
    /// both shapes, or the names that are missing and unexpected. The model is as it was.</exception>
    public static void Load(string path, Module model)
    {
        using var file = SafetensorsFile.Open(path);
        Load(file, model);
    }

    /// <summary>Sets the parameters of a model to those of one of our own files, which may be closed afterwards.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, or names or shapes differ. The model is as it was, unless the file was
    /// cut short meanwhile.</exception>
    public static void Load(SafetensorsFile file, Module model)
    {
        Load(model, file, TensorNames.Identity(model));
        foreach (var (_, parameter) in model.Parameters()) _ = parameter.Value;
    }

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

    /// <summary>Writes the parameters of a model by their full names.</summary>
    public static void Save(string path, Module model) => Writer(model).Save(path);

    /// <summary>Writes the parameters of a model as F32, named as another program names them.</summary>
    /// <exception cref="InvalidOperationException">The table does not name the model's parameters.</exception>
    public static void Save(string path, Module model, TensorNames names)
    {
        var writer = new SafetensorsWriter();
        writer.Metadata["format"] = "pt"; // without which transformers refuses the file
        foreach (var tensor in Outgoing(model, names)) writer.Add(tensor, ElementType.F32);
        writer.Save(path);
    }

    /// <summary>The tensors of a file that holds a model's weights, in the order of the table.</summary>
    /// <param name="model">Its parameters must not change until they are written.</param>
    /// <param name="names">Which parameter is which tensor.</param>
    /// <param name="source">The checkpoint that the model's parameters still are those of, and its table: what only changes its place
    /// is copied from there without being held. May be null.</param>
    /// <exception cref="InvalidOperationException">The table does not name the model's parameters.</exception>
    internal static IReadOnlyList<OutgoingTensor> Outgoing(
        Module model, TensorNames names, (TensorSource Tensors, TensorNames Names)? source = null)
    {
        var parameters = model.Parameters().ToDictionary(own => own.Name, own => own.Parameter, StringComparer.Ordinal);
        if (parameters.Keys.FirstOrDefault(name => !names.Layouts.ContainsKey(name)) is { } absent)
            throw new InvalidOperationException($"the table of names lacks the parameter '{absent}'");
        var parts = new OrderedDictionary<string, List<(Parameter Parameter, TensorLayout Layout, int Index)>>(StringComparer.Ordinal);
        foreach (var layout in names.Layouts.Values)
        {
            if (!parameters.TryGetValue(layout.Ours, out var parameter))
                throw new InvalidOperationException($"the table of names has a name that the model lacks: {layout.Ours}");
            for (var index = 0; index < layout.Theirs.Count; index++)
            {
                if (!parts.TryGetValue(layout.Theirs[index], out var others)) parts.Add(layout.Theirs[index], others = []);
                others.Add((parameter, layout, index));
            }
        }

        var recent = new RecentParameters();
        var stream = source is { } from ? new TensorStream(from.Tensors, from.Names) : null;
        return [.. parts.Select(part => new OutgoingTensor(part.Key, part.Value, recent, stream))];
    }

    /// <summary>A writer of the parameters of a model, to which more can be added.</summary>
    public static SafetensorsWriter Writer(Module model) => Writer([.. model.Parameters().Select(own => (own.Name, own.Parameter.Value))]);

    /// <summary>A writer of named tensors.</summary>
    public static SafetensorsWriter Writer(IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, tensor) in tensors) writer.Add(name, tensor);
        return writer;
    }

    private static void RequireSameNames(SafetensorsFile file, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var wanted = tensors.Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        var missing = wanted.Where(name => !file.Tensors.ContainsKey(name)).ToList();
        var unexpected = file.Tensors.Keys.Where(name => !wanted.Contains(name)).ToList();
        if (missing.Count + unexpected.Count == 0) return;
        throw new InvalidDataException(
            $"{file.Path}: does not have the model's tensors; missing: {NameList.Of(missing)}; unexpected: {NameList.Of(unexpected)}");
    }

    private static void RequireFits(SafetensorsFile file, StoredTensor stored, Tensor tensor)
    {
        var sizes = tensor.Shape.AsSpan().ToArray().Select(size => (long)size);
        if (!stored.Shape.SequenceEqual(sizes))
            throw new InvalidDataException(
                $"{file.Path}: tensor '{stored.Name}' has the shape [{string.Join(", ", stored.Shape)}], in the model {tensor.Shape}");
        var fits = tensor.Type == ElementType.F32 ? stored.IsReal : stored.Element == tensor.Type;
        if (!fits)
            throw new InvalidDataException($"{file.Path}: tensor '{stored.Name}' is of type {stored.Type}, in the model {tensor.Type}");
    }
}
