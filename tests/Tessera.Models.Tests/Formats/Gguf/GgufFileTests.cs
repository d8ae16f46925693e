using System.Buffers.Binary;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Models.Formats.Gguf;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private static readonly string s_llama = Fixture.Local("gguf/llama-q4_0.gguf");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_of_llama_cpp_is_read_with_its_metadata_and_tensors()
    {
        using var file = GgufFile.Open(s_llama);
        Assert.Equal((3, 32), (file.Version, file.Alignment));
        Assert.Equal("llama", file.Text("general.architecture"));
        Assert.Equal(2, file.Whole("llama.block_count"));
        Assert.Equal(GgufValueType.String, file.Metadata["tokenizer.ggml.tokens"].ItemType);
        Assert.Equal(file["token_embd.weight"].Shape[0], file.Metadata["tokenizer.ggml.tokens"].Items.Count);
        Assert.Equal("F32", file["output_norm.weight"].Type);
        Assert.Contains(file.Entries.Values, entry => entry.Type == GgufType.Q4_0 && entry.ByteCount == entry.Count / 32 * 18);
    }

    [Fact]
    public void What_is_written_again_has_the_same_bytes()
    {
        var again = Path.Combine(_folder.Path, "again.gguf");
        Rewrite(s_llama, again);
        Assert.Equal(File.ReadAllBytes(s_llama), File.ReadAllBytes(again));
    }

    [SharedFact("fixtures/gguf/models")]
    public void Every_file_of_llama_cpp_is_written_again_byte_for_byte()
    {
        foreach (var path in Directory.GetFiles(Fixture.Shared("fixtures/gguf/models")!, "*.gguf", SearchOption.AllDirectories))
        {
            var again = Path.Combine(_folder.Path, "again.gguf");
            Rewrite(path, again);
            Assert.True(File.ReadAllBytes(path).AsSpan().SequenceEqual(File.ReadAllBytes(again)), path);
        }
    }

    [SharedFact("data/vocab")]
    public void Vocabularies_of_llama_cpp_are_read()
    {
        foreach (var path in Directory.GetFiles(Fixture.Shared("data/vocab")!, "*.gguf"))
        {
            using var file = GgufFile.Open(path);
            Assert.True(file.Metadata["tokenizer.ggml.tokens"].Items.Count > 30_000, path);
        }
    }

    [Fact]
    public void Values_of_every_type_come_back_as_they_were()
    {
        var writer = new GgufWriter();
        var values = new (string Key, GgufValue Value)[]
        {
            ("u8", new(GgufValueType.U8, 255UL)), ("i8", new(GgufValueType.I8, -128L)), ("u16", new(GgufValueType.U16, 65535UL)),
            ("i16", new(GgufValueType.I16, -32768L)), ("u32", GgufValue.Of(uint.MaxValue)), ("i32", new(GgufValueType.I32, (long)int.MinValue)),
            ("u64", new(GgufValueType.U64, ulong.MaxValue)), ("i64", new(GgufValueType.I64, long.MinValue)), ("f32", GgufValue.Of(0.1f)),
            ("f64", new(GgufValueType.F64, 0.1)), ("yes", GgufValue.Of(true)), ("text", GgufValue.Of("é\u2581👩")),
            ("texts", GgufValue.Of(["a", "", "b"])), ("numbers", GgufValue.Of([1, -2])), ("floats", GgufValue.Of([1.5f])),
        };
        foreach (var (key, value) in values) writer.Metadata.Add(key, value);
        writer.Add("t", GgufType.F32, [2, 3], stream => stream.Write(new byte[24]));
        var path = Path.Combine(_folder.Path, "values.gguf");
        writer.Save(path);
        using var file = GgufFile.Open(path);
        Assert.Equal(values.Select(value => value.Key), file.Metadata.Keys);
        foreach (var (key, value) in values)
        {
            Assert.Equal((value.Type, value.ItemType), (file.Metadata[key].Type, file.Metadata[key].ItemType));
            Assert.Equal(value.Content, file.Metadata[key].Content);
        }

        Assert.Equal([2, 3], file["t"].Shape);
    }

    [Fact]
    public void Arrays_of_every_type_come_back_as_they_were_and_take_the_memory_they_take_in_the_file()
    {
        Array[] arrays =
        [
            new byte[] { 0, 255 }, new sbyte[] { -128, 127 }, new ushort[] { 65535 }, new short[] { -32768 }, new uint[] { uint.MaxValue }, new int[] { int.MinValue },
            new float[] { 0.1f }, new bool[] { true, false, true }, new string[] { "é", "" }, Array.Empty<long>(), new ulong[] { ulong.MaxValue }, new long[] { long.MinValue }, new double[] { 0.1 },
        ];
        GgufValueType[] types =
        [
            GgufValueType.U8, GgufValueType.I8, GgufValueType.U16, GgufValueType.I16, GgufValueType.U32, GgufValueType.I32, GgufValueType.F32, GgufValueType.Bool, GgufValueType.String,
            GgufValueType.I64, GgufValueType.U64, GgufValueType.I64, GgufValueType.F64,
        ];
        var writer = new GgufWriter();
        for (var i = 0; i < arrays.Length; i++) writer.Metadata.Add($"array {i}", new GgufValue(GgufValueType.Array, arrays[i], types[i]));
        writer.Metadata.Add("long", new GgufValue(GgufValueType.Array, new byte[2_000_000], GgufValueType.U8));
        writer.Save(_folder.File("arrays.gguf"));
        var before = GC.GetAllocatedBytesForCurrentThread();
        using var file = GgufFile.Open(_folder.File("arrays.gguf"));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 2_000_000, 2_200_000);
        for (var i = 0; i < arrays.Length; i++)
        {
            Assert.Equal(arrays[i], file.Metadata[$"array {i}"].Content);
            Assert.Equal(arrays[i].Cast<object>().Select(item => Convert.ToString(item, null)), file.Metadata[$"array {i}"].Items.Select(item => item is double number && types[i] == GgufValueType.F32 ? Convert.ToString((float)number, null) : Convert.ToString(item, null)));
        }

        Assert.Equal("[0, 255]", file.Metadata["array 0"].ToString());
        Assert.Equal("[0, 0, 0, 0, 0, 0, 0, 0, … 2000000 in all]", file.Metadata["long"].ToString());
        Assert.Equal([0UL, 255UL], file.Metadata["array 0"].Items);
    }

    [Theory]
    [InlineData(7u)]
    [InlineData(48u)]
    [InlineData(0u)]
    [InlineData(1u << 21)]
    public void An_alignment_that_no_reader_allows_is_not_written(uint alignment)
    {
        var writer = new GgufWriter { Metadata = { ["general.alignment"] = GgufValue.Of(alignment) } };
        Assert.Contains($"general.alignment is {alignment} (U32); allowed: a power of two", Assert.Throws<InvalidOperationException>(() => writer.Write(Stream.Null)).Message, StringComparison.Ordinal);
        writer.Metadata["general.alignment"] = new GgufValue(GgufValueType.U64, 64UL);
        Assert.Throws<InvalidOperationException>(() => writer.Write(Stream.Null));
        writer.Metadata["general.alignment"] = GgufValue.Of(64u);
        writer.Add("t", GgufType.F32, [1], stream => stream.Write(new byte[4]));
        writer.Save(_folder.File("aligned.gguf"));
        using var file = GgufFile.Open(_folder.File("aligned.gguf"));
        Assert.Equal((64, 0), (file.Alignment, file.DataStart % 64));
    }

    [Theory]
    [InlineData("no magic", "begins with 0x00000000")]
    [InlineData("version 9", "has version 9 of GGUF; allowed: 2, 3")]
    [InlineData("big-endian", "is big-endian")]
    [InlineData("many tensors", "the number of tensors is 9223372036854775807")]
    [InlineData("many keys", "the number of metadata keys is 4611686018427387904")]
    [InlineData("long key", "the length of the name of metadata key 0 is 1099511627776")]
    [InlineData("bad type", "has the type 77; allowed: 0 to 12")]
    [InlineData("huge array", "the number of items of 'a' is 4294967296")]
    [InlineData("nested", "is nested more than 4 deep")]
    [InlineData("twice", "has the metadata key 'a' twice")]
    [InlineData("alignment", "general.alignment is 7; allowed: a power of two from 8")]
    [InlineData("cut", "is cut short")]
    [InlineData("axes", "has 5 axes; allowed: 1 to 4")]
    [InlineData("overflow", "has more than 9223372036854775807 bytes")]
    [InlineData("unknown type", "has the type 99, which is not known")]
    [InlineData("rows", "has rows of 33 values; allowed: multiples of 32")]
    [InlineData("offset", "begins at 1; allowed: multiples of the alignment, 32")]
    [InlineData("beyond", "takes 24 bytes from 0 on; the file has 8 after its header")]
    [InlineData("overlap", "begins at 0, where the one before it goes on to 24")]
    [InlineData("same name", "has two tensors named 't'")]
    public void A_damaged_file_is_refused_with_what_is_wrong(string damage, string part)
    {
        var path = Path.Combine(_folder.Path, "damaged.gguf");
        File.WriteAllBytes(path, Damaged(damage));
        var error = Assert.Throws<InvalidDataException>(() => GgufFile.Open(path));
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Mutated_files_open_or_are_refused_and_take_no_more_memory_than_they_have_bytes()
    {
        var whole = File.ReadAllBytes(s_llama);
        var path = Path.Combine(_folder.Path, "mutated.gguf");
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed =>
        {
            var random = new System.Random(seed);
            var bytes = random.Next(4) == 0 ? whole[..random.Next(whole.Length)] : (byte[])whole.Clone();
            // Most of what can go wrong is in the header.
            for (var times = random.Next(1, 8); times > 0 && bytes.Length > 0; times--)
                bytes[random.Next(Math.Min(bytes.Length, 12_000))] = (byte)random.Next(256);
            File.WriteAllBytes(path, bytes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = GgufFile.Open(path);
                var buffer = new byte[64];
                foreach (var entry in file.Tensors.Values) file.ReadBytes(entry.Name, buffer.AsSpan(0, (int)Math.Min(64, entry.ByteCount)));
            }
            catch (InvalidDataException)
            {
                // The only error there may be.
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 20L * whole.Length);
        }));
    }

    private static void Rewrite(string path, string again)
    {
        using var file = GgufFile.Open(path);
        var writer = new GgufWriter();
        foreach (var (key, value) in file.Metadata) writer.Metadata.Add(key, value);
        foreach (var entry in file.Entries.Values)
        {
            writer.Add(entry.Name, entry.Type, [.. entry.Shape], stream =>
            {
                var bytes = new byte[entry.ByteCount];
                file.ReadBytes(entry.Name, bytes);
                stream.Write(bytes);
            });
        }

        writer.Save(again);
    }

    private static byte[] Damaged(string damage)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(damage == "no magic" ? 0u : GgufFile.Magic);
        writer.Write(damage switch { "version 9" => 9u, "big-endian" => BinaryPrimitives.ReverseEndianness(3u), _ => 3u });
        var tensor = damage is "axes" or "overflow" or "unknown type" or "rows" or "offset" or "beyond" or "overlap" or "same name";
        var two = damage is "overlap" or "same name";
        writer.Write(damage == "many tensors" ? (ulong)long.MaxValue : two ? 2u : tensor ? 1ul : 0ul);
        writer.Write(damage switch { "many keys" => 1UL << 62, "twice" => 2, _ => tensor ? 0ul : 1ul });
        if (!tensor) WriteKeys(writer, damage);
        for (var i = 0; i < (two ? 2 : tensor ? 1 : 0); i++) WriteTensor(writer, damage, i);
        while (stream.Length % 32 != 0) writer.Write((byte)0);
        writer.Write(new byte[damage == "beyond" ? 8 : 64]);
        writer.Flush();
        return damage == "cut" ? stream.ToArray()[..39] : stream.ToArray();
    }

    private static void WriteKeys(BinaryWriter writer, string damage)
    {
        var name = damage == "alignment" ? "general.alignment" : "a";
        for (var i = 0; i < (damage == "twice" ? 2 : 1); i++)
        {
            writer.Write(damage == "long key" ? 1UL << 40 : (ulong)name.Length);
            writer.Write(Encoding.UTF8.GetBytes(name));
            switch (damage)
            {
                case "bad type": writer.Write(77u); break;
                case "huge array":
                    writer.Write((uint)GgufValueType.Array);
                    writer.Write((uint)GgufValueType.U8);
                    writer.Write(1UL << 32);
                    break;
                case "nested":
                    writer.Write((uint)GgufValueType.Array);
                    for (var depth = 0; depth < 8; depth++)
                    {
                        writer.Write((uint)GgufValueType.Array);
                        writer.Write(1UL);
                    }

                    break;
                default:
                    writer.Write((uint)GgufValueType.U32);
                    writer.Write(7u);
                    break;
            }
        }
    }

    private static void WriteTensor(BinaryWriter writer, string damage, int index)
    {
        writer.Write(1UL);
        writer.Write((byte)(damage == "overlap" && index == 1 ? 'u' : 't'));
        ulong[] sizes = damage switch { "axes" => [1, 1, 1, 1, 1], "overflow" => [1UL << 40, 1UL << 40], "rows" => [33], _ => [3, 2] };
        writer.Write((uint)sizes.Length);
        foreach (var size in sizes) writer.Write(size);
        writer.Write(damage switch { "unknown type" => 99u, "rows" => (uint)GgufType.Q8_0, _ => (uint)GgufType.F32 });
        writer.Write(damage == "offset" ? 1UL : damage == "same name" ? 32UL * (ulong)index : 0UL);
    }
}
