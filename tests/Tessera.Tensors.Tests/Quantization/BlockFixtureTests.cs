using System.Runtime.InteropServices;
using Tessera.Testing;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Stored types against what llama.cpp writes and reads: <c>Fixtures/blocks</c>, by <c>tests/Fixtures/make_gguf.py
/// blocks</c>.</summary>
public class BlockFixtureTests
{
    public static TheoryData<ElementType> Types { get; } = [.. Stored.Types];

    public static TheoryData<ElementType> Written { get; } = [.. Stored.Types.Where(type => type.CanBeWritten())];

    internal static ReferenceTensors Case(ElementType type) =>
        new(Path.Combine(Fixture.Local("blocks"), type.ToString().ToLowerInvariant(), "expected.safetensors"));

    [Theory, MemberData(nameof(Written))]
    public void Stored_bytes_are_those_of_llama_cpp(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var fixture = Case(type);
        var x = Tensor.From(fixture.Floats("input"), new Shape(fixture.Shape("input")));
        AssertSame(fixture.Bytes("bytes"), Op.Convert(x, type).Bytes, type);
    }

    [Theory, MemberData(nameof(Types))]
    public void Values_are_those_of_llama_cpp_bit_for_bit(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var fixture = Case(type);
        foreach (var (bytes, values) in new[] { ("bytes", "values"), ("random_bytes", "random_values") })
        {
            var stored = Tensor.Allocate(new Shape(fixture.Shape(values)), type);
            fixture.Bytes(bytes).CopyTo(stored.Bytes);
            AssertSame(
                MemoryMarshal.AsBytes<float>(fixture.Floats(values)), Op.Convert(stored, ElementType.F32).Bytes, type);
        }
    }

    [Fact]
    public void Types_that_are_only_read_say_so()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From(new float[256], [1, 256]);
        ElementType[] read = [ElementType.Q2_K, ElementType.Q3_K, ElementType.IQ4_NL, ElementType.IQ4_XS];
        Assert.Equal(read, Stored.Types.Where(type => !type.CanBeWritten()));
        foreach (var type in read)
            Assert.StartsWith($"convert: {type} is read from files, not written", Assert.Throws<ArgumentException>(() => Op.Convert(x, type)).Message, StringComparison.Ordinal);
    }

    private static void AssertSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> found, ElementType type)
    {
        Assert.Equal(expected.Length, found.Length);
        var same = expected.CommonPrefixLength(found);
        var different = 0;
        for (var i = 0; i < expected.Length; i++) different += expected[i] == found[i] ? 0 : 1;
        Assert.True(different == 0, $"{type}: {different} of {expected.Length} bytes differ, the first at {same}");
    }
}
