using System.Buffers.Binary;
using System.Text;
using Tessera.Models.Formats;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats;

public sealed class SafetensorsFromStrangersTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", 0, "'{'")]
    [InlineData("[]", 0, "'{'")]
    [InlineData(" {}", 0, "'{'")]
    [InlineData("{} x", 0, "not valid JSON")]
    [InlineData("{}  ", 4, "4 bytes there")]
    [InlineData("""{"a":3}""", 0, "tensor 'a' is 3; allowed: an object")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "two tensors are named 'a'")]
    [InlineData("""{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}""", 4, "'F33'; allowed: BOOL, F4, F6_E2M3")]
    [InlineData("""{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}""", 4, "dtype of tensor 'a' is 7; allowed: a string")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "dtype twice")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "no dtype")]
    [InlineData("""{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "no shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", 4, "no data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}""", 4, "'more'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "holds -1")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "holds 1.5")]
    [InlineData("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}""", 4, "holds 99999999999999999999")]
    [InlineData("""{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}""", 4, "holds a string")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}""", 4, "[4611686018427387904, 4] has more than")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "'a' F32 [2] takes 8 bytes, but its data_offsets [0, 4] hold 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "[4, 0] hold -4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "1 data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 3, "end at byte 4 after the header, but the file has 3")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "end at byte 4 after the header, but the file has 5")]
    [InlineData("""{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}""", 4, "end at byte 1000000000000")]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}}""", 5, "'b' U8 [3] begin at 2; allowed: 3")]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}""", 5, "'b' U8 [1] begin at 4; allowed: 3")]
    [InlineData("""{"__metadata__":{"k":1}}""", 0, "__metadata__.k is 1; allowed: a string")]
    [InlineData("""{"__metadata__":{"k":"a","k":"b"}}""", 0, "'k' twice")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", 0, "__metadata__ comes twice")]
    [InlineData("""{"\ud800":{}}""", 0, "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F32",""", 0, "not valid JSON")]
    public void A_header_that_breaks_the_format_is_refused_with_file_place_found_and_allowed(string header, int dataBytes, string says)
    {
        var path = _folder.File("strange.safetensors", Compose(header, dataBytes));
        var message = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(says, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(7, 0UL)]
    [InlineData(8, 1UL)]
    [InlineData(100, 93UL)]
    [InlineData(100, ulong.MaxValue)]
    [InlineData(100, 1UL << 63)]
    public void A_length_beyond_the_file_is_refused_before_anything_is_allocated(int bytes, ulong headerBytes)
    {
        var content = new byte[bytes];
        if (bytes >= 8) BinaryPrimitives.WriteUInt64LittleEndian(content, headerBytes);
        var path = _folder.File("strange", content);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void A_header_of_more_than_100_million_bytes_is_refused_even_where_the_file_is_larger()
    {
        var path = _folder.File("sparse");
        using (var stream = File.Create(path))
        {
            stream.Write(BitConverter.GetBytes(100_000_001L));
            stream.SetLength(200_000_000);
        }

        var message = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path)).Message;
        Assert.Contains("100000001", message, StringComparison.Ordinal);
        Assert.Contains("100000000", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_thousand_damaged_files_are_read_whole_or_refused_cleanly_within_memory_in_proportion()
    {
        var random = new Random(5);
        byte[][] seeds = [File.ReadAllBytes(Fixture.Local("safetensors/conversions.safetensors")), Compose(
            """{"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F16","shape":[1,2],"data_offsets":[3,7]}}""", 7)];
        var (refused, read) = (0, 0);
        for (var round = 0; round < 2000; round++)
        {
            var bytes = Mutate(seeds[round % 2], random);
            var path = _folder.File("fuzz", bytes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(path);
                foreach (var entry in file.Tensors.Values) file.ReadBytes(entry.Name, new byte[entry.ByteCount]);
                read++;
            }
            catch (InvalidDataException failure)
            {
                Assert.StartsWith(path, failure.Message, StringComparison.Ordinal);
                refused++;
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000 + (50L * bytes.Length));
        }

        Assert.True(refused > 1000 && read > 50, $"{refused} refused, {read} read");
    }

    /// <summary>Flips, cuts, copies of pieces, numbers changed: what tears and attackers do.</summary>
    private static byte[] Mutate(byte[] seed, Random random)
    {
        var bytes = (byte[])seed.Clone();
        var header = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(seed);
        for (var change = random.Next(1, 4); change > 0; change--)
        {
            var at = random.Next(Math.Min(bytes.Length, random.Next(2) == 0 ? int.MaxValue : header));
            switch (random.Next(6))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)"0123456789{}[]\",:-e "[random.Next(20)]; break;
                case 2: bytes = bytes[..at]; break;
                case 3: bytes = [.. bytes[..at], .. bytes[random.Next(at, bytes.Length)..]]; break;
                case 4: bytes = [.. bytes[..at], (byte)('0' + random.Next(10)), .. bytes[at..]]; break;
                default: bytes[random.Next(Math.Min(8, bytes.Length))] = (byte)random.Next(256); break;
            }

            if (bytes.Length == 0) return bytes;
        }

        return bytes;
    }

    private static byte[] Compose(string header, int dataBytes)
    {
        var json = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((ulong)json.Length), .. json, .. new byte[dataBytes]];
    }
}
