using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// A rounded row in the order in which <see cref="Jit.StoredProductDot"/> reads it, a group of 256 columns (8 parts of 32) after the
/// other: the first halves of parts 0, 2, 4 and 6, their last halves, then those of parts 1, 3, 5 and 7; what raises a weight's numbers
/// by one adds to each lane of the sums, taken away, for both halves together and for each; and the scales.
/// </summary>
internal static unsafe class StoredProductDotRows
{
    /// <summary>Columns of a group.</summary>
    public const int Columns = 256;

    /// <summary>Where in a group lie −Σ of 4 numbers of both halves, −Σ of 4 numbers, the sums of halves of parts times their scale, the
    /// scales of the parts, and their sums times their scale.</summary>
    public const int PairSums = Columns, QuadSums = PairSums + 128, HalfSums = QuadSums + 256, Scales = HalfSums + 64, Sums = Scales + 32;

    /// <summary>Bytes of a group.</summary>
    public const int Bytes = Sums + 32;

    /// <summary>Parts of a group.</summary>
    public const int Parts = 8;

    private const int Half = QuantizedActivations.Block / 2, Vector = 64;

    /// <summary>Whether rows of so many columns have such an order.</summary>
    public static bool Suits(int columns) => Simd.Level >= KernelLevel.Avx512Vnni && columns > 0 && columns % Columns == 0;

    /// <summary>Orders one group.</summary>
    public static void Order(sbyte* numbers, float* scales, float* sums, byte* to)
    {
        var pairs = (int*)(to + PairSums);
        var quads = (int*)(to + QuadSums);
        var halves = (float*)(to + HalfSums);
        for (var part = 0; part < Parts; part++)
        {
            var (odd, lane) = (part % 2, part / 2);
            var first = Vector128.Load(numbers + (part * QuantizedActivations.Block));
            var last = Vector128.Load(numbers + (part * QuantizedActivations.Block) + Half);
            first.Store((sbyte*)to + (odd * 2 * Vector) + (lane * Half));
            last.Store((sbyte*)to + (((odd * 2) + 1) * Vector) + (lane * Half));
            var (a, b) = (Negated(first), Negated(last));
            a.Store(quads + (odd * 32) + (lane * 4));
            b.Store(quads + (odd * 32) + 16 + (lane * 4));
            (a + b).Store(pairs + (odd * 16) + (lane * 4));
            halves[2 * part] = -Vector128.Sum(a) * scales[part];
            halves[(2 * part) + 1] = -Vector128.Sum(b) * scales[part];
        }

        Vector256.Load(scales).Store((float*)(to + Scales));
        Vector256.Load(sums).Store((float*)(to + Sums));
    }

    /// <summary>Minus the sums of each four numbers.</summary>
    private static Vector128<int> Negated(Vector128<sbyte> numbers)
    {
        // Bytes of a word, then words of a whole: shifts keep the sign.
        var words = (numbers.AsInt16() >> 8) + ((numbers.AsInt16() << 8) >> 8);
        return -((words.AsInt32() >> 16) + ((words.AsInt32() << 16) >> 16));
    }
}
