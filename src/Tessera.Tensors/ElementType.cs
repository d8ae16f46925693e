using System.Diagnostics.CodeAnalysis;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// What one element of a <see cref="Tensor"/> is. Activations and trained parameters are <see cref="F32"/>, indices are
/// <see cref="I32"/>; the others store weights in less memory, with the layouts of GGUF, bit for bit.
/// </summary>
[SuppressMessage("Naming", "CA1707:Identifiers should not contain underscores", Justification = "GGUF's names of its types")]
public enum ElementType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>Signed 32-bit integer: token ids, positions, lengths.</summary>
    I32,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>The upper half of an F32: 8 bits of exponent, 7 of mantissa.</summary>
    BF16,

    /// <summary>Blocks of 32 signed bytes with an F16 scale: <c>x = d q</c>, 8.5 bits an element.</summary>
    Q8_0,

    /// <summary>Blocks of 32 four-bit numbers with an F16 scale: <c>x = d (q − 8)</c>, 4.5 bits an element.</summary>
    Q4_0,

    /// <summary>Blocks of 256 four-bit numbers in 8 groups, each with a scale and a minimum of 6 bits, which share two F16
    /// scales: <c>x = d s q − dmin m</c>, 4.5 bits an element.</summary>
    Q4_K,

    /// <summary>Blocks of 256 six-bit numbers in 16 groups, each with a scale of 8 bits, which share an F16 scale:
    /// <c>x = d s (q − 32)</c>, 6.5625 bits an element.</summary>
    Q6_K,

    /// <summary>Blocks of 32 four-bit floats with a power of two as their scale, 4.25 bits an element: the microscaling format of
    /// gpt-oss's experts.</summary>
    MXFP4,

    /// <summary>Blocks of 32 four-bit numbers with an F16 scale and an F16 minimum: <c>x = d q + m</c>, 5 bits an element.</summary>
    Q4_1,

    /// <summary>Blocks of 32 five-bit numbers with an F16 scale: <c>x = d (q − 16)</c>, 5.5 bits an element.</summary>
    Q5_0,

    /// <summary>Blocks of 32 five-bit numbers with an F16 scale and an F16 minimum: <c>x = d q + m</c>, 6 bits an element.</summary>
    Q5_1,

    /// <summary>Blocks of 256 five-bit numbers in 8 groups, with scales as <see cref="Q4_K"/> has them, 5.5 bits an element.</summary>
    Q5_K,

    /// <summary>Blocks of 256 two-bit numbers in 16 groups, each with a scale and a minimum of 4 bits, which share two F16 scales:
    /// <c>x = d s q − dmin m</c>, 2.625 bits an element. It is read, not written.</summary>
    Q2_K,

    /// <summary>Blocks of 256 three-bit numbers in 16 groups, each with a scale of 6 bits, which share an F16 scale:
    /// <c>x = d (s − 32) (q − 4)</c>, 3.4375 bits an element. It is read, not written.</summary>
    Q3_K,

    /// <summary>Blocks of 32 four-bit numbers that name one of 16 values, with an F16 scale: <c>x = d table[q]</c>, 4.5 bits an element.
    /// It is read, not written.</summary>
    IQ4_NL,

    /// <summary>Blocks of 256 numbers as those of <see cref="IQ4_NL"/> in 8 groups, each with a scale of 6 bits, which share an F16
    /// scale: <c>x = d (s − 32) table[q]</c>, 4.25 bits an element. It is read, not written.</summary>
    IQ4_XS,
}

/// <summary>Facts about an <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    /// <summary>How many elements are stored together; 1 where each stands alone. The innermost axis of a tensor is a
    /// multiple of it.</summary>
    public static int BlockElements(this ElementType type) => Layout(type).Elements;

    /// <summary>Bytes that a block of <see cref="BlockElements"/> takes.</summary>
    public static int BlockBytes(this ElementType type) => Layout(type).Bytes;

    /// <summary>Bytes that <paramref name="count"/> elements take.</summary>
    /// <exception cref="ArgumentException">They are not whole blocks.</exception>
    /// <exception cref="OverflowException">More than 2⁶³ bytes.</exception>
    public static long Bytes(this ElementType type, long count)
    {
        var (elements, bytes) = Layout(type);
        return count % elements == 0
            ? checked(count / elements * bytes)
            : throw new ArgumentException($"{count} elements are not whole blocks of {elements}, as {type} has them", nameof(count));
    }

    /// <summary>Expands stored elements to F32.</summary>
    /// <param name="type">What is stored; not I32.</param>
    /// <param name="from">Whole blocks.</param>
    /// <param name="to">As many elements as they are.</param>
    /// <exception cref="ArgumentException">The bytes are not those of so many elements.</exception>
    public static void ToFloats(this ElementType type, ReadOnlySpan<byte> from, Span<float> to) => QuantizedFormat.Load(type, from, to);

    /// <summary>Whether elements of this type are products of integers and scales of a block.</summary>
    internal static bool IsQuantized(this ElementType type) => type >= ElementType.Q8_0;

    /// <summary>Whether numbers can be stored in this type; those of the others come from files. I32 is no type of real numbers.</summary>
    public static bool CanBeWritten(this ElementType type) => type.IsReal()
        && type is not (ElementType.Q2_K or ElementType.Q3_K or ElementType.IQ4_NL or ElementType.IQ4_XS);

    /// <summary>Whether the last 16 of each 32 elements of a quantized type have a scale of their own.</summary>
    internal static bool HasLastScale(this ElementType type) => type is ElementType.Q6_K or ElementType.Q3_K or ElementType.Q2_K;

    /// <summary>Whether the type stands for real numbers, so that it can be converted to and from F32.</summary>
    public static bool IsReal(this ElementType type) => type != ElementType.I32;

    /// <summary>Bytes of a tensor whose rows are whole blocks.</summary>
    /// <exception cref="ShapeException">The innermost axis is not a multiple of the block.</exception>
    internal static long Bytes(this ElementType type, Shape shape)
    {
        Require(type, shape);
        return type.Bytes(shape.Count);
    }

    /// <summary>Requires rows of whole blocks.</summary>
    internal static void Require(this ElementType type, Shape shape)
    {
        var elements = type.BlockElements();
        if (shape.Width % elements != 0)
            throw new ShapeException(
                $"tensor: {type} {shape} has an innermost axis of {shape.Width}, expected a multiple of {elements}, its block");
    }

    private static (int Elements, int Bytes) Layout(ElementType type) => type switch
    {
        ElementType.F32 or ElementType.I32 => (1, 4),
        ElementType.F16 or ElementType.BF16 => (1, 2),
        ElementType.Q8_0 => (32, 34),
        ElementType.Q4_0 => (32, 18),
        ElementType.Q4_K => (256, 144),
        ElementType.Q6_K => (256, 210),
        ElementType.MXFP4 => (32, 17),
        ElementType.Q4_1 => (32, 20),
        ElementType.Q5_0 => (32, 22),
        ElementType.Q5_1 => (32, 24),
        ElementType.Q5_K => (256, 176),
        ElementType.Q2_K => (256, 84),
        ElementType.Q3_K => (256, 110),
        ElementType.IQ4_NL => (32, 18),
        ElementType.IQ4_XS => (256, 136),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not an element type"),
    };
}
