using System.Runtime.InteropServices;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Formats;

/// <summary>Each layout against rows written down by hand, as F32 and in every stored type, there and back.</summary>
public sealed class TensorLayoutTests : IDisposable
{
    private const int Width = 256; // whole blocks of every type

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<ElementType> Types => [ElementType.F32, ElementType.F16, ElementType.BF16, ElementType.Q8_0, ElementType.Q4_0, ElementType.Q4_K, ElementType.Q6_K, ElementType.MXFP4, ElementType.Q4_1, ElementType.Q5_0, ElementType.Q5_1, ElementType.Q5_K];

    public static TheoryData<ElementType> PlainTypes => [ElementType.F32, ElementType.F16, ElementType.BF16];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Types))]
    public void The_same(ElementType type)
    {
        var names = new TensorNames();
        names.Same("ours", "theirs");
        Check(names, type, [("theirs", 6)], [("ours", [("theirs", 0), ("theirs", 1), ("theirs", 2), ("theirs", 3), ("theirs", 4), ("theirs", 5)])]);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_of_one_tensor_for_three_of_ours(ElementType type)
    {
        var names = new TensorNames();
        names.Rows("q", "qkv", 0, 7);
        names.Rows("k", "qkv", 4, 7);
        names.Rows("v", "qkv", 5, 7);
        Check(names, type, [("qkv", 7)], [("q", [("qkv", 0), ("qkv", 1), ("qkv", 2), ("qkv", 3)]), ("k", [("qkv", 4)]), ("v", [("qkv", 5), ("qkv", 6)])]);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_that_are_rotated_together_next_to_each_other(ElementType type)
    {
        var names = new TensorNames();
        names.PairedRows("ours", "theirs", heads: 2);
        // A head of six rows: 0 and 3, 1 and 4, 2 and 5 are rotated together.
        Check(names, type, [("theirs", 12)], [("ours", [.. ((int[])[0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]).Select(row => ("theirs", row))])]);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void One_tensor_for_each_expert(ElementType type)
    {
        var names = new TensorNames();
        names.Stacked("ours", "experts.{0}.up", 3);
        Check(names, type, [("experts.0.up", 2), ("experts.1.up", 2), ("experts.2.up", 2)],
            [("ours", [("experts.0.up", 0), ("experts.0.up", 1), ("experts.1.up", 0), ("experts.1.up", 1), ("experts.2.up", 0), ("experts.2.up", 1)])], new Dictionary<string, Shape> { ["ours"] = [3, 2, Width] });
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_other_row_of_one_tensor_for_two_of_ours(ElementType type)
    {
        var names = new TensorNames();
        names.Add(new EveryRowLayout("gate", "both", first: 0, step: 2));
        names.Add(new EveryRowLayout("up", "both", first: 1, step: 2));
        Check(names, type, [("both", 6)], [("gate", [("both", 0), ("both", 2), ("both", 4)]), ("up", [("both", 1), ("both", 3), ("both", 5)])],
            new Dictionary<string, Shape> { ["gate"] = [1, 3, Width], ["up"] = [1, 3, Width] });
    }

    [Theory]
    [MemberData(nameof(PlainTypes))]
    public void Turned_groups_and_every_other_column_and_number_of_each(ElementType type)
    {
        const int Groups = 3, Rows = 4, Columns = 5;
        var bytes = StoredParts.Bytes(type, [Groups, Columns, 2 * Rows], 3);
        var biases = StoredParts.Bytes([.. Enumerable.Range(0, Groups * 2 * Rows).Select(i => (float)i)]);
        var size = type == ElementType.F32 ? 4 : 2;
        var path = StoredParts.Save(
            _folder.File("a.safetensors"), ("both", type, [Groups, Columns, 2 * Rows], bytes), ("all", type, [Groups, Columns, 2 * Rows], bytes),
            ("biases", ElementType.F32, [Groups, 2 * Rows], biases));
        var module = StoredParts.Module(
            ("gate", [Groups, Rows, Columns]), ("up", [Groups, Rows, Columns]), ("all", [Groups, 2 * Rows, Columns]), ("gate_bias", [Groups, Rows]),
            ("up_bias", [Groups, Rows]));
        var names = new TensorNames();
        names.Add(new TurnedGroupsLayout("gate", "both", 0, 2));
        names.Add(new TurnedGroupsLayout("up", "both", 1, 2));
        names.Add(new TurnedGroupsLayout("all", "all"));
        names.Add(new EveryRowLayout("gate_bias", "biases", 0, 2));
        names.Add(new EveryRowLayout("up_bias", "biases", 1, 2));
        using var source = SafetensorsFile.Open(path);
        Weights.Load(module, source, names, asStored: true);
        foreach (var (name, first, step, rows) in new[] { ("gate", 0, 2, Rows), ("up", 1, 2, Rows), ("all", 0, 1, 2 * Rows) })
        {
            var found = module[name].Value;
            Assert.Equal(type, found.Type);
            for (var group = 0; group < Groups; group++)
                for (var row = 0; row < rows; row++)
                    for (var column = 0; column < Columns; column++)
                        Assert.True(found.Bytes.Slice(((((group * rows) + row) * Columns) + column) * size, size).SequenceEqual(
                            bytes.AsSpan(((((group * Columns) + column) * 2 * Rows) + first + (step * row)) * size, size)));
        }

        Assert.Equal([0f, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22], Op.Convert(module["gate_bias"].Value, ElementType.F32).ToArray());
        Assert.Equal([1f, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23], Op.Convert(module["up_bias"].Value, ElementType.F32).ToArray());
        foreach (var outgoing in Weights.Outgoing(module, names))
            Assert.Equal(outgoing.Name == "biases" ? biases : bytes, Written(outgoing, outgoing.Name == "biases" ? ElementType.F32 : type));
    }

    [Theory]
    [MemberData(nameof(PlainTypes))]
    public void Turned_and_three_of_ours_turned_in_one(ElementType type)
    {
        const int Columns = 40, Rows = 70;
        var bytes = StoredParts.Bytes(type, [Columns, Rows], 3);
        var size = type == ElementType.F32 ? 4 : 2;
        var path = StoredParts.Save(_folder.File("a.safetensors"), ("t", type, [Columns, Rows], bytes), ("qkv", type, [Columns, Rows], bytes));
        var module = StoredParts.Module(("t", [Rows, Columns]), ("q", [33, Columns]), ("k", [Rows - 33, Columns]));
        var names = new TensorNames();
        names.Transposed("t", "t");
        names.Rows("q", "qkv", 0, Rows, transposed: true);
        names.Rows("k", "qkv", 33, Rows, transposed: true);
        using var source = SafetensorsFile.Open(path);
        Weights.Load(module, source, names, asStored: true);
        foreach (var (name, first, count) in new[] { ("t", 0, Rows), ("q", 0, 33), ("k", 33, Rows - 33) })
        {
            var found = module[name].Value;
            Assert.Equal((type, new Shape(count, Columns)), (found.Type, found.Shape));
            for (var row = 0; row < count; row++)
                for (var column = 0; column < Columns; column++)
                    Assert.True(found.Bytes.Slice(((row * Columns) + column) * size, size).SequenceEqual(bytes.AsSpan(((column * Rows) + first + row) * size, size)));
        }

        Assert.All(Weights.Outgoing(module, names), outgoing => Assert.Equal(bytes, Written(outgoing, type)));
    }

    [Fact]
    public void Vectors_have_rows_of_one_number()
    {
        var bytes = StoredParts.Bytes([0f, 1, 2, 3, 4, 5, 6, 7]);
        using var source = SafetensorsFile.Open(StoredParts.Save(_folder.File("a.safetensors"), ("p", ElementType.F32, [8], bytes), ("r", ElementType.F32, [8], bytes)));
        var module = StoredParts.Module(("paired", [8]), ("first", [3]), ("second", [5]));
        var names = new TensorNames();
        names.PairedRows("paired", "p", heads: 2);
        names.Rows("first", "r", 0, 8);
        names.Rows("second", "r", 3, 8, transposed: false);
        Weights.Load(module, source, names);
        Assert.Equal([0, 2, 1, 3, 4, 6, 5, 7], module["paired"].Value.ToArray());
        Assert.Equal([0, 1, 2], module["first"].Value.ToArray());
        Assert.Equal([3, 4, 5, 6, 7], module["second"].Value.ToArray());
        Assert.All(Weights.Outgoing(module, names), outgoing => Assert.Equal(bytes, Written(outgoing, ElementType.F32)));
    }

    /// <summary>Loads tensors of so many rows and compares the rows of ours; saves again and compares the bytes.</summary>
    private void Check(
        TensorNames names, ElementType type, (string Name, int Rows)[] theirs, (string Name, (string Theirs, int Row)[] Rows)[] ours, Dictionary<string, Shape>? shapes = null)
    {
        var stored = theirs.ToDictionary(tensor => tensor.Name, tensor => StoredParts.Bytes(type, [tensor.Rows, Width], tensor.Name.Length));
        var path = Path.Combine(_folder.Path, "a.gguf");
        var writer = new GgufWriter();
        foreach (var (name, rows) in theirs) writer.Add(name, Enum.Parse<GgufType>(type.ToString()), [rows, Width], stream => stream.Write(stored[name]));
        writer.Save(path);
        using var source = TensorSource.Open(path);
        foreach (var asStored in new[] { true, false })
        {
            var module = StoredParts.Module([.. ours.Select(tensor => (tensor.Name, shapes?[tensor.Name] ?? new Shape(tensor.Rows.Length, Width)))]);
            Weights.Load(module, source, names, asStored);
            foreach (var (name, rows) in ours)
            {
                var found = module[name].Value;
                Assert.Equal(asStored ? type : ElementType.F32, found.Type);
                var size = (int)found.Type.Bytes(Width);
                for (var row = 0; row < rows.Length; row++)
                {
                    var expected = stored[rows[row].Theirs].AsSpan((int)type.Bytes(Width) * rows[row].Row, (int)type.Bytes(Width)).ToArray();
                    Assert.Equal(asStored ? expected : Floats(type, expected), found.Bytes.Slice(row * size, size).ToArray());
                }
            }

            var outgoing = Weights.Outgoing(module, names);
            Assert.Equal(theirs.Select(tensor => (tensor.Name, $"{tensor.Rows}, {Width}")), outgoing.Select(tensor => (tensor.Name, string.Join(", ", tensor.Shape.SkipWhile(size => size == 1)))));
            Assert.All(outgoing, tensor => Assert.Equal(asStored ? type : ElementType.F32, tensor.Type));
            if (asStored || type is ElementType.F32 or ElementType.F16 or ElementType.BF16)
                Assert.All(outgoing, tensor => Assert.Equal(stored[tensor.Name], Written(tensor, type)));
        }
    }

    private static byte[] Floats(ElementType type, byte[] stored)
    {
        var floats = new float[Width];
        type.ToFloats(stored, floats);
        return MemoryMarshal.AsBytes(floats.AsSpan()).ToArray();
    }

    private static byte[] Written(OutgoingTensor tensor, ElementType type)
    {
        var stream = new MemoryStream();
        tensor.WriteTo(stream, type);
        return stream.ToArray();
    }
}
