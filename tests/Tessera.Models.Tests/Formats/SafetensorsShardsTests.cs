using System.Text;
using System.Text.Json;
using Tessera.Models.Formats;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats;

public sealed class SafetensorsShardsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SharedFact("fixtures/hf/qwen3-sharded-bf16")]
    public void Shards_of_transformers_are_one_checkpoint()
    {
        var folder = Fixture.Shared("fixtures/hf/qwen3-sharded-bf16")!;
        using var source = TensorSource.Open(folder);
        Assert.Equal(4, Assert.IsType<SafetensorsShards>(source).Files.Count);
        Assert.Equal(46_384, source.Tensors.Values.Sum(tensor => tensor.Count));
        foreach (var file in Directory.GetFiles(folder, "model-*"))
        {
            using var shard = SafetensorsFile.Open(file);
            foreach (var (name, tensor) in shard.Tensors)
            {
                Assert.Equal(Bytes(shard, name), Bytes(source, name));
                Assert.Equal(("BF16", tensor.Type), (source[name].Type, source[name].Type));
                Assert.Equal(Bytes(shard, name), source.View(name).Bytes.ToArray());
            }
        }
    }

    [SharedFact("fixtures/hf/qwen3-sharded-bf16")]
    public void Shards_of_transformers_are_written_again_byte_for_byte()
    {
        var folder = Fixture.Shared("fixtures/hf/qwen3-sharded-bf16")!;
        using var source = TensorSource.Open(folder);
        string[] parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "self_attn.q_norm", "self_attn.k_norm",
            "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"];
        var inOrder = Enumerable.Range(0, 2).SelectMany(layer => parts.Select(part => $"model.layers.{layer}.{part}.weight"));
        var module = StoredParts.Module([.. ((string[])["model.embed_tokens.weight", .. inOrder, "model.norm.weight", "lm_head.weight"])
            .Select(name => (name, new Shape([.. source[name].Shape.Select(size => (int)size)])))]);
        var names = TensorNames.Identity(module);
        Weights.Load(module, source, names);
        SafetensorsFolder.Save(_folder.Path, Weights.Outgoing(module, names), _ => ElementType.BF16, maximumShardBytes: 32_000);
        var expected = Directory.GetFiles(folder, "model*");
        Assert.Equal(expected.Length, Directory.GetFiles(_folder.Path).Length);
        Assert.All(expected, path => Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(_folder.File(Path.GetFileName(path)))));
    }

    [Fact]
    public void What_is_saved_in_shards_comes_back_and_no_file_holds_more_than_allowed()
    {
        var module = StoredParts.Module(("a", [10, 8]), ("b", [8]), ("c", [30, 8]), ("d", [4, 4]), ("e", [2]));
        var progress = new Reports();
        SafetensorsFolder.Save(_folder.Path, Weights.Outgoing(module, TensorNames.Identity(module)), maximumShardBytes: 400, progress: progress);

        // 320 and 32 bytes fit one file, 960 are more than allowed and alone, 64 and 8 are left.
        string[] files = ["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", "model.safetensors.index.json"];
        Assert.Equal(files, Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var index = JsonDocument.Parse(File.ReadAllText(_folder.File(files[3])));
        Assert.Equal((346, 1384), (index.RootElement.GetProperty("metadata").GetProperty("total_parameters").GetInt32(), index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt32()));
        Assert.Equal([("a", files[0]), ("b", files[0]), ("c", files[1]), ("d", files[2]), ("e", files[2])],
            index.RootElement.GetProperty("weight_map").EnumerateObject().Select(tensor => (tensor.Name, tensor.Value.GetString()!)));
        Assert.Equal([320, 352, 1312, 1376, 1384], progress.Written.Order());

        var again = StoredParts.Module(("a", [10, 8]), ("b", [8]), ("c", [30, 8]), ("d", [4, 4]), ("e", [2]));
        foreach (var (_, parameter) in again.Parameters()) parameter.Value.Floats.Clear();
        using var source = TensorSource.Open(_folder.Path);
        Weights.Load(again, source, TensorNames.Identity(again));
        foreach (var (name, parameter) in module.Parameters()) Assert.Equal(parameter.Value.ToArray(), again[name].Value.ToArray());
        using var shard = SafetensorsFile.Open(_folder.File(files[0]));
        Assert.Equal("pt", shard.Metadata["format"]);
    }

    [Fact]
    public void Saving_again_leaves_no_weights_of_before_and_nothing_else_is_touched()
    {
        var module = StoredParts.Module(("a", [10, 8]), ("b", [10, 8]));
        var outgoing = Weights.Outgoing(module, TensorNames.Identity(module));
        File.WriteAllText(_folder.File("model-notes.txt"), "mine");
        SafetensorsFolder.Save(_folder.Path, outgoing, maximumShardBytes: 1);
        SafetensorsFolder.Save(_folder.Path, outgoing);
        Assert.Equal(["model-notes.txt", "model.safetensors"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        SafetensorsFolder.Save(_folder.Path, outgoing, maximumShardBytes: 1);
        Assert.False(File.Exists(_folder.File("model.safetensors")));
        using var source = TensorSource.Open(_folder.Path);
        Assert.Equal(["a", "b"], source.Tensors.Keys.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    public void Weights_as_stored_are_saved_with_the_bytes_they_came_with(ElementType type)
    {
        var bytes = StoredParts.Bytes(type, [6, 16], 2);
        var vector = StoredParts.Bytes(type, [16], 3);
        StoredParts.Save(_folder.File("model.safetensors"), ("m", type, [6, 16], bytes), ("v", type, [16], vector));
        var module = StoredParts.Module(("m", [6, 16]), ("v", [16]));
        var names = TensorNames.Identity(module);
        Weights.Load(module, TensorSource.Open(_folder.Path), names, asStored: true);
        var other = Directory.CreateDirectory(_folder.File("other")).FullName;
        SafetensorsFolder.Save(other, Weights.Outgoing(module, names), _ => type);
        Assert.All(module.Parameters(), own => Assert.False(own.Parameter.IsMade));
        using var saved = TensorSource.Open(other);
        Assert.Equal(bytes, Bytes(saved, "m"));
        Assert.Equal(vector, Bytes(saved, "v"));
    }

    [Theory]
    [InlineData("", "is empty, not an index in JSON")]
    [InlineData("[]", "does not hold a JSON object")]
    [InlineData("{}", "has no weight_map")]
    [InlineData("""{"weight_map":[]}""", "weight_map is not an object")]
    [InlineData("""{"weight_map":{}}""", "weight_map names no tensor")]
    [InlineData("""{"weight_map":{"a":"1.safetensors"},"weight_map":{}}""", "has weight_map twice")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}} x""", "is not valid JSON")]
    [InlineData("""{"weight_map":{"a":1}}""", "the file of tensor 'a' is not a string")]
    [InlineData("""{"weight_map":{"a":{"weight_map":{"a":"1.safetensors"}}}}""", "the file of tensor 'a' is not a string")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}""", "two tensors named 'a'")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","b":"../2.safetensors"}}""", "'b' is said to be in '../2.safetensors'; allowed: the name of a file beside the index")]
    [InlineData("""{"weight_map":{"a":"/etc/1.safetensors"}}""", "'/etc/1.safetensors'; allowed")]
    [InlineData("""{"weight_map":{"a":"x\\1.safetensors"}}""", "; allowed: the name of a file beside")]
    [InlineData("""{"weight_map":{"a":"C:1.safetensors"}}""", "; allowed: the name of a file beside")]
    [InlineData("""{"weight_map":{"a":""}}""", "''; allowed")]
    [InlineData("""{"weight_map":{"a":".."}}""", "'..'; allowed")]
    [InlineData("""{"weight_map":{"a":"model.safetensors.index.json"}}""", "allowed: a name that ends with .safetensors")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}""", "the files do not hold all tensors of the index; missing: b")]
    [InlineData("""{"weight_map":{"b":"2.safetensors","a":"2.safetensors","c":"1.safetensors"}}""", "tensor 'c' is in 2.safetensors; the index has it in 1.safetensors")]
    [InlineData("""{"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}""", "2.safetensors holds tensor 'c' F32 [1], which the index does not name")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","c":"3.safetensors"}}""", "3.safetensors: has 3 bytes")]
    public void An_index_that_does_not_agree_with_its_files_is_refused(string index, string says)
    {
        Files();
        File.WriteAllBytes(_folder.File("3.safetensors"), [1, 2, 3]);
        File.WriteAllText(_folder.File("model.safetensors.index.json"), index);
        var message = Assert.Throws<InvalidDataException>(() => TensorSource.Open(_folder.Path)).Message;
        Assert.StartsWith(_folder.Path, message, StringComparison.Ordinal);
        Assert.Contains(says, message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_two_files_hold_is_refused()
    {
        Files();
        StoredParts.Save(_folder.File("4.safetensors"), ("a", ElementType.F32, [2], new byte[8]), ("d", ElementType.F32, [2], new byte[8]));
        File.WriteAllText(_folder.File("model.safetensors.index.json"), """{"weight_map":{"a":"1.safetensors","d":"4.safetensors"}}""");
        var message = Assert.Throws<InvalidDataException>(() => TensorSource.Open(_folder.Path)).Message;
        Assert.Contains("tensor 'a' is in 4.safetensors; the index has it in 1.safetensors", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_the_index_does_not_come_to_is_nobodys()
    {
        Files();
        File.WriteAllText(_folder.File("model.safetensors.index.json"), """{"weight_map":{"a":"1.safetensors"},"metadata":{"more":[{}]}}""");
        using var source = TensorSource.Open(_folder.Path);
        Assert.Equal(["a"], source.Tensors.Keys);
    }

    [Fact]
    public void Files_that_are_not_there_are_named()
    {
        Files();
        Assert.Contains("neither model.safetensors nor model.safetensors.index.json", Assert.Throws<FileNotFoundException>(() => TensorSource.Open(_folder.Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder.File("model.safetensors.index.json"), """{"weight_map":{"a":"1.safetensors","b":"5.safetensors","c":"4.safetensors"}}""");
        var error = Assert.Throws<FileNotFoundException>(() => TensorSource.Open(_folder.Path));
        Assert.Contains("not all files of the index are there; missing: 4.safetensors, 5.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => TensorSource.Open(_folder.File("nothing.safetensors")));
    }

    [Fact]
    public void Two_thousand_damaged_checkpoints_are_read_whole_or_refused_cleanly()
    {
        Files();
        var random = new Random(11);
        var index = Encoding.UTF8.GetBytes("""{"metadata":{"total_size":20},"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}""");
        var shard = File.ReadAllBytes(_folder.File("2.safetensors"));
        var module = StoredParts.Module(("a", [2]), ("b", [2]), ("c", [1]));
        var (refused, read) = (0, 0);
        for (var round = 0; round < 2000; round++)
        {
            File.WriteAllBytes(_folder.File("model.safetensors.index.json"), round % 2 == 0 ? Mutate(index, random) : index);
            File.WriteAllBytes(_folder.File("2.safetensors"), round % 2 == 1 ? Mutate(shard, random) : shard);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var source = TensorSource.Open(_folder.Path);
                foreach (var tensor in source.Tensors.Values)
                {
                    source.ReadBytes(tensor.Name, new byte[tensor.ByteCount]);
                    if (source.CanView(tensor.Name)) Assert.Equal(tensor.ByteCount, source.View(tensor.Name).Bytes.Length);
                }

                Weights.Load(module, source, TensorNames.Identity(module));
                foreach (var (_, parameter) in module.Parameters()) _ = parameter.Value;
                read++;
            }
            catch (Exception failure) when (failure is InvalidDataException or FileNotFoundException)
            {
                Assert.StartsWith(_folder.Path, failure.Message, StringComparison.Ordinal);
                refused++;
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 400_000);
        }

        Assert.True(refused > 1000 && read > 50, $"{refused} refused, {read} read");
    }

    private static byte[] Mutate(byte[] whole, Random random)
    {
        var bytes = whole;
        for (var change = random.Next(1, 4); change > 0 && bytes.Length > 0; change--)
        {
            var at = random.Next(bytes.Length);
            bytes = random.Next(6) switch
            {
                0 => [.. bytes[..at], (byte)(bytes[at] ^ (1 << random.Next(8))), .. bytes[(at + 1)..]],
                1 => [.. bytes[..at], (byte)"0123456789{}[]\",:-e ./\\"[random.Next(23)], .. bytes[(at + 1)..]],
                2 => bytes[..at],
                3 => [.. bytes[..at], .. bytes[random.Next(at, bytes.Length)..]],
                4 => [.. bytes[..at], .. bytes[random.Next(bytes.Length)..]],
                _ => [.. bytes[..at], (byte)random.Next(256), .. bytes[at..]],
            };
        }

        return bytes;
    }

    /// <summary>1.safetensors holds a; 2.safetensors holds b and c.</summary>
    private void Files()
    {
        StoredParts.Save(_folder.File("1.safetensors"), ("a", ElementType.F32, [2], StoredParts.Bytes([1, 2])));
        StoredParts.Save(_folder.File("2.safetensors"), ("b", ElementType.F32, [2], StoredParts.Bytes([3, 4])), ("c", ElementType.F32, [1], StoredParts.Bytes([5])));
    }

    private static byte[] Bytes(TensorSource source, string name)
    {
        var bytes = new byte[source[name].ByteCount];
        source.ReadBytes(name, bytes);
        return bytes;
    }

    private sealed class Reports : IProgress<(long Written, long All)>
    {
        public List<long> Written { get; } = [];

        public void Report((long Written, long All) value)
        {
            Assert.Equal(1384, value.All);
            Written.Add(value.Written);
        }
    }
}
