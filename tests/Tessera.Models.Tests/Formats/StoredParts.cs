using System.Runtime.InteropServices;
using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Formats;

/// <summary>Modules and files made of a few named tensors.</summary>
internal static class StoredParts
{
    /// <summary>A module with parameters of the given shapes.</summary>
    public static Named Module(params (string Name, Shape Shape)[] parameters) => new(parameters);

    /// <summary>Writes a safetensors file of stored tensors.</summary>
    public static string Save(string path, params (string Name, ElementType Type, long[] Shape, byte[] Bytes)[] tensors)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, type, shape, bytes) in tensors)
            writer.Add(name, Enum.Parse<SafetensorsType>(type.ToString()), shape, stream => stream.Write(bytes));
        writer.Save(path);
        return path;
    }

    /// <summary>Stored numbers that are all different in most types.</summary>
    public static byte[] Bytes(ElementType type, Shape shape, int seed)
    {
        using var scope = Arena.Current.Scope();
        var random = new Random(seed);
        var values = new float[shape.Count];
        for (var i = 0; i < values.Length; i++) values[i] = (float)((random.NextDouble() * 4) - 2);
        return Op.Convert(Tensor.From(values, shape), type).Bytes.ToArray();
    }

    public static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    internal sealed class Named : Module
    {
        public Named((string Name, Shape Shape)[] parameters)
        {
            var part = new PartBuilder(4, "x", new CounterRandom(3));
            foreach (var (name, shape) in parameters) Own(name, part.Normal(name, shape, 1, mayBeStored: shape.Rank > 1));
        }

        public Parameter this[string name] => Parameters().Single(own => own.Name == name).Parameter;
    }
}
