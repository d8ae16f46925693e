using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tessera.Testing;

/// <summary>The tensors of a reference <c>expected.safetensors</c>, read by a reader that shares nothing with the product's.</summary>
internal sealed class ReferenceTensors
{
    private readonly byte[] _bytes;
    private readonly JsonElement _header;
    private readonly int _data;

    public ReferenceTensors(string path)
    {
        _bytes = File.ReadAllBytes(path);
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(_bytes);
        _header = JsonDocument.Parse(_bytes.AsMemory(8, length)).RootElement;
        _data = 8 + length;
    }

    public bool Has(string name) => _header.TryGetProperty(name, out _);

    public int[] Shape(string name) => [.. _header.GetProperty(name).GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())];

    public float[] Floats(string name) => MemoryMarshal.Cast<byte, float>(Raw(name, "F32")).ToArray();

    public int[] Ints(string name) => MemoryMarshal.Cast<byte, int>(Raw(name, "I32")).ToArray();

    public byte[] Bytes(string name) => Raw(name, "U8").ToArray();

    private ReadOnlySpan<byte> Raw(string name, string type)
    {
        var entry = _header.GetProperty(name);
        Assert.Equal(type, entry.GetProperty("dtype").GetString());
        var offsets = entry.GetProperty("data_offsets");
        return _bytes.AsSpan(_data + offsets[0].GetInt32(), offsets[1].GetInt32() - offsets[0].GetInt32());
    }
}
