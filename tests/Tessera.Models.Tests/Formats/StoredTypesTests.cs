using System.Globalization;
using Tessera.Models.Formats;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Formats;

public sealed class StoredTypesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<SafetensorsType> Types => [.. Enum.GetValues<SafetensorsType>()];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Types))]
    public void A_tensor_of_any_type_comes_back_with_its_bytes(SafetensorsType type)
    {
        var bytes = new byte[4 * type.Bits() * 2 / 8];
        new Random(1).NextBytes(bytes);
        var writer = new SafetensorsWriter();
        writer.Add("x", type, [4, 2], stream => stream.Write(bytes));
        writer.Save(_folder.File("a"));
        using var file = SafetensorsFile.Open(_folder.File("a"));
        var found = new byte[bytes.Length];
        file.ReadBytes("x", found);
        Assert.Equal(bytes, found);
        Assert.Equal((type.Name(), 8L, (long)bytes.Length), (file["x"].Type, file["x"].Count, file["x"].ByteCount));
        Assert.Equal((type, 8L), (file.Entries["x"].Type, file.Entries["x"].Count));
        Assert.Equal(type is SafetensorsType.F32 or SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.I32, file.CanView("x"));
        if (file.CanView("x")) Assert.Equal(bytes, file.View("x").Bytes.ToArray());
        else Assert.Contains("cannot be used where it lies", Assert.Throws<NotSupportedException>(() => file.View("x")).Message, StringComparison.Ordinal);
        if (file["x"].IsReal) file.ReadFloats("x", new float[8]);
        else Assert.Contains("does not hold floats", Assert.Throws<InvalidDataException>(() => file.ReadFloats("x", new float[8])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SafetensorsType.F4, "[1,3]", 2)]
    [InlineData(SafetensorsType.F6_E2M3, "[2]", 2)]
    public void Numbers_that_fill_no_whole_bytes_are_refused(SafetensorsType type, string shape, int bytes)
    {
        var header = $$$"""{"x":{"dtype":"{{{type.Name()}}}","shape":{{{shape}}},"data_offsets":[0,{{{bytes}}}]}}""";
        var path = _folder.File("a", [.. BitConverter.GetBytes((ulong)header.Length), .. System.Text.Encoding.ASCII.GetBytes(header), .. new byte[bytes]]);
        Assert.Contains("does not take whole bytes", Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Theory] // the greatest, the least normal, the greatest and least subnormal, 1, and what is no number: from the papers' tables
    [InlineData(SafetensorsType.F8_E4M3, "7E:448 FE:-448 08:0.015625 07:0.013671875 01:0.001953125 38:1 39:1.125 00:0 80:-0 7F:NaN FF:NaN")]
    [InlineData(SafetensorsType.F8_E5M2, "7B:57344 FB:-57344 04:6.103515625E-05 03:4.57763671875E-05 01:1.52587890625E-05 3C:1 3D:1.25 7C:Infinity FC:-Infinity 7F:NaN 7D:NaN")]
    [InlineData(SafetensorsType.F8_E8M0, "7F:1 80:2 00:5.877471754111438E-39 FE:1.7014118346046923E+38 FF:NaN")]
    [InlineData(SafetensorsType.F8_E4M3FNUZ, "7F:240 FF:-240 08:0.0078125 01:0.0009765625 40:1 00:0 80:NaN")]
    [InlineData(SafetensorsType.F8_E5M2FNUZ, "7F:57344 04:3.0517578125E-05 01:7.62939453125E-06 40:1 00:0 80:NaN")]
    public void Floats_of_eight_bits_stand_for_what_their_papers_say(SafetensorsType type, string expected)
    {
        var pairs = expected.Split(' ').Select(pair => pair.Split(':')).ToList();
        var bytes = pairs.Select(pair => byte.Parse(pair[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
        var writer = new SafetensorsWriter();
        writer.Add("x", type, [bytes.Length], stream => stream.Write(bytes));
        writer.Save(_folder.File("a"));
        using var file = SafetensorsFile.Open(_folder.File("a"));
        var found = new float[bytes.Length];
        file.ReadFloats("x", found);
        Assert.Equal(pairs.Select(pair => Bits((float)double.Parse(pair[1], CultureInfo.InvariantCulture))), found.Select(Bits));

        static uint Bits(float value) => float.IsNaN(value) ? uint.MaxValue : BitConverter.SingleToUInt32Bits(value); // NaN's sign says nothing
    }

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.BF16)]
    public void A_part_is_read_from_the_element_where_it_begins(ElementType type)
    {
        const int Count = 700_001; // more than a piece
        var bytes = StoredParts.Bytes(type, [Count], 4);
        using var file = SafetensorsFile.Open(StoredParts.Save(_folder.File("a"), ("x", type, [Count], bytes)));
        var (all, part) = (new float[Count], new float[Count - 123]);
        type.ToFloats(bytes, all);
        file.ReadFloats("x", part, 123);
        Assert.True(part.AsSpan().SequenceEqual(all.AsSpan(123)));
        file.ReadFloats("x", [], Count);
        Assert.Throws<ArgumentException>(() => file.ReadFloats("x", part, 124));
        Assert.Throws<ArgumentException>(() => file.ReadFloats("x", part, -1));
    }

    [Fact]
    public void What_lies_at_an_odd_place_is_read_and_not_viewed()
    {
        // Written by somebody who fills no header up.
        const string Header = """{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"c":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},"x":{"dtype":"F16","shape":[1],"data_offsets":[5,7]}}""";
        var path = _folder.File("a", [.. BitConverter.GetBytes((ulong)Header.Length), .. System.Text.Encoding.ASCII.GetBytes(Header), 0, 0, 0x80, 0x3F, 9, 0, 0x3C]);
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(file.DataStart % 4 == 0, file.CanView("b"));
        var odd = (file.DataStart + 5) % 2 != 0;
        Assert.Equal(!odd, file.CanView("x"));
        var (one, half) = (new float[1], new float[1]);
        file.ReadFloats("b", one);
        file.ReadFloats("x", half);
        Assert.Equal((1f, 1f), (one[0], half[0]));
    }
}
