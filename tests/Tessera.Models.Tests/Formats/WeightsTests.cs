using Tessera.Models.Formats;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Formats;

public sealed class WeightsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Nothing_is_read_before_it_is_touched_and_matrices_as_stored_lie_in_the_file_itself()
    {
        var path = File("a", ("m", ElementType.BF16, [4, 8]), ("n", ElementType.F32, [4, 8]), ("b", ElementType.BF16, [8]));
        var module = StoredParts.Module(("m", [4, 8]), ("n", [4, 8]), ("b", [8]));
        using var source = SafetensorsFile.Open(path);
        Weights.Load(module, source, TensorNames.Identity(module), asStored: true);
        Assert.All(module.Parameters(), own => Assert.False(own.Parameter.IsMade));
        Assert.Equal([ElementType.BF16, ElementType.F32, ElementType.F32], module.Parameters().Select(own => own.Parameter.Type));
        var values = module.Parameters().Select(own => own.Parameter.Value).ToList();
        Assert.All(values, value => Assert.False(value.RequiresGradient));
        var before = values.ConvertAll(value => value.Bytes.ToArray());

        // What changes in the file changes in what lies there, and not in what was copied.
        using (var file = System.IO.File.Open(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
        {
            file.Position = source.DataStart;
            file.Write(Enumerable.Repeat((byte)0x40, (int)(file.Length - file.Position)).ToArray());
        }

        Assert.All(values[0].Bytes.ToArray(), value => Assert.Equal(0x40, value));
        Assert.All(values[1].Bytes.ToArray(), value => Assert.Equal(0x40, value));
        Assert.Equal(before[2], values[2].Bytes.ToArray());
    }

    [Fact]
    public void A_view_stays_when_its_source_is_closed_and_forgotten()
    {
        var path = File("a", ("m", ElementType.F32, [400, 800]));
        var expected = System.IO.File.ReadAllBytes(path)[^(400 * 800 * 4)..];
        var view = View(path);
        for (var round = 0; round < 3; round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.True(view.Bytes.SequenceEqual(expected));
        GC.KeepAlive(view);

        static Tensor View(string path)
        {
            using var source = SafetensorsFile.Open(path);
            return source.View("m");
        }
    }

    [Fact]
    public void Loaded_to_be_trained_all_is_F32_with_gradients_in_memory_of_its_own()
    {
        var path = File("a", ("m", ElementType.BF16, [4, 8]), ("n", ElementType.F32, [4, 8]));
        var module = StoredParts.Module(("m", [4, 8]), ("n", [4, 8]));
        using (var source = SafetensorsFile.Open(path))
        {
            Weights.Load(module, source, TensorNames.Identity(module));
            Assert.All(module.Parameters(), own => Assert.True(own.Parameter.Value.RequiresGradient));
        }

        module["n"].Value.Floats.Fill(1); // would end the process in a mapped file
        var widened = new float[32];
        ElementType.BF16.ToFloats(StoredParts.Bytes(ElementType.BF16, [4, 8], 1), widened);
        Assert.Equal(widened, module["m"].Value.ToArray());
    }

    [Fact]
    public void Missing_and_unexpected_tensors_are_named_and_the_model_is_as_it_was()
    {
        var module = StoredParts.Module(("m", [4, 8]), ("n", [4, 8]));
        var before = module["m"].Value;
        using var source = SafetensorsFile.Open(File("a", [("m", ElementType.F32, [4, 8]), .. Enumerable.Range(0, 12).Select(i => ($"x{i:D2}", ElementType.F32, new long[] { 1 }))]));
        Says(() => Weights.Load(module, source, TensorNames.Identity(module)), source.Path, "missing: n; unexpected: x00, x01, x02, x03, x04, x05, x06, x07, x08, x09 and 2 more");
        Assert.Same(before, module["m"].Value);
    }

    [Fact]
    public void All_shapes_that_differ_are_named_as_the_file_should_have_them()
    {
        var module = StoredParts.Module(("m", [4, 8]), ("n", [4, 8]), ("s", [2, 3, 4]));
        var names = new TensorNames();
        names.Transposed("m", "theirs");
        names.Rows("n", "rows", 2, of: 9);
        names.Stacked("s", "e.{0}", 2);
        using var source = SafetensorsFile.Open(
            File("a", ("theirs", ElementType.F32, [4, 8]), ("rows", ElementType.F32, [8, 8]), ("e.0", ElementType.F32, [3, 4]), ("e.1", ElementType.F32, [4, 3])));
        Says(() => Weights.Load(module, source, names), "tensor 'theirs' has the shape [4, 8], in the model [8, 4]",
            "tensor 'rows' has the shape [8, 8], in the model [9, 8]", "tensor 'e.1' has the shape [4, 3], in the model [3, 4]");
    }

    [Fact]
    public void Integers_are_no_weights()
    {
        var module = StoredParts.Module(("m", [4]));
        using var source = SafetensorsFile.Open(StoredParts.Save(_folder.File("a"), ("m", ElementType.I32, [4], new byte[16])));
        Says(() => Weights.Load(module, source, TensorNames.Identity(module)), "tensor 'm' I32 [4] does not hold floats that can be read; allowed: F64, F32");
    }

    [Fact]
    public void A_prefix_may_be_missing_in_a_file_and_is_always_written()
    {
        var names = new TensorNames { Prefix = "transformer." };
        names.Same("m", "transformer.m");
        names.Ignored("transformer.*.bias");
        names.Ignored("lm_head.weight");
        foreach (var prefix in new[] { "transformer.", "" })
        {
            var module = StoredParts.Module(("m", [4, 8]));
            using var source = SafetensorsFile.Open(File("a", ($"{prefix}m", ElementType.F32, [4, 8]), ($"{prefix}h.0.bias", ElementType.F32, [1]), ("lm_head.weight", ElementType.F32, [3])));
            Weights.Load(module, source, names);
            Assert.Equal(StoredParts.Bytes(ElementType.F32, [4, 8], 1), module["m"].Value.Bytes.ToArray());
            Assert.Equal("transformer.m", Weights.Outgoing(module, names).Single().Name);
        }
    }

    [Theory]
    [InlineData("model.layers.*.rotary_emb.inv_freq", "model.layers.12.self_attn.rotary_emb.inv_freq", true)]
    [InlineData("model.layers.*.rotary_emb.inv_freq", "model.layers.12.self_attn.rotary_emb.inv_freqs", false)]
    [InlineData("h.*.attn.bias", "h.0.attn.bias", true)]
    [InlineData("h.*.attn.bias", "x.h.0.attn.bias", false)]
    [InlineData("a.b", "a-b", false)]
    [InlineData("*", "anything", true)]
    public void A_pattern_has_a_star_for_any_characters_and_nothing_else_is_special(string pattern, string name, bool fits)
    {
        var names = new TensorNames();
        names.Ignored(pattern);
        Assert.Equal(fits, names.IsIgnored(name));
    }

    [Fact]
    public void A_table_that_does_not_name_the_parameters_is_a_fault_of_the_program()
    {
        var module = StoredParts.Module(("m", [4, 8]));
        using var source = SafetensorsFile.Open(File("a", ("m", ElementType.F32, [4, 8])));
        Assert.Throws<InvalidOperationException>(() => Weights.Load(module, source, new TensorNames()));
        Assert.Throws<InvalidOperationException>(() => Weights.Outgoing(module, new TensorNames()));
        var names = TensorNames.Identity(module);
        Assert.Throws<ArgumentException>(() => names.Same("m", "other"));
        names.Same("n", "n");
        Assert.Throws<InvalidOperationException>(() => Weights.Load(module, source, names));
        Assert.Throws<InvalidOperationException>(() => Weights.Outgoing(module, names));
    }

    [Fact]
    public void A_file_that_is_cut_short_before_a_weight_is_touched_is_an_error_when_it_is()
    {
        var path = File("a", ("m", ElementType.BF16, [4, 8]));
        var module = StoredParts.Module(("m", [4, 8]));
        using var source = SafetensorsFile.Open(path);
        Weights.Load(module, source, TensorNames.Identity(module));
        using (var handle = System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete)) RandomAccess.SetLength(handle, source.DataStart + 60);
        Says(() => _ = module["m"].Value, path, "was cut short");
    }

    private string File(string name, params (string Name, ElementType Type, long[] Shape)[] tensors) => StoredParts.Save(_folder.File(name), [.. tensors.Select(
        (tensor, index) => (tensor.Name, tensor.Type, tensor.Shape, StoredParts.Bytes(tensor.Type, new Shape([.. tensor.Shape.Select(size => (int)size)]), index + 1)))]);

    private static void Says(Action action, params string[] what)
    {
        var message = Assert.Throws<InvalidDataException>(action).Message;
        Assert.All(what, part => Assert.Contains(part, message, StringComparison.Ordinal));
    }
}
