namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Stored weights, and the product with them in double precision.</summary>
internal static class Stored
{
    public static ElementType[] Types { get; } =
    [
        ElementType.F16, ElementType.BF16, ElementType.Q8_0, ElementType.Q4_0, ElementType.Q4_K, ElementType.Q6_K, ElementType.MXFP4,
        ElementType.Q4_1, ElementType.Q5_0, ElementType.Q5_1, ElementType.Q5_K, ElementType.Q2_K, ElementType.Q3_K, ElementType.IQ4_NL,
        ElementType.IQ4_XS,
    ];

    public static bool RoundsActivations(ElementType type) => type is not (ElementType.F16 or ElementType.BF16);

    /// <summary>An owned weight of random elements, or of random bits where the type is only read, in an arena scope of its own.</summary>
    public static Tensor Weight(ElementType type, Shape shape, int seed, double scale = 0.1)
    {
        if (!type.CanBeWritten()) return RandomBits(type, shape, seed, scale / 100);
        using var scope = Arena.Current.Scope();
        return Op.Convert(Tensor.From(OperationCheck.Random(shape, seed, scale).Values, shape), type).Keep();
    }

    /// <summary>Blocks of random bits but for their F16 scales.</summary>
    private static Tensor RandomBits(ElementType type, Shape shape, int seed, double scale)
    {
        var tensor = Tensor.Allocate(shape, type);
        var bytes = tensor.Bytes;
        var random = new Random(seed);
        random.NextBytes(bytes);
        int[] places = type switch { ElementType.Q2_K => [80, 82], ElementType.Q3_K => [108], _ => [0] };
        for (var block = 0; block < bytes.Length; block += type.BlockBytes())
            foreach (var place in places)
                System.Buffers.Binary.BinaryPrimitives.WriteHalfLittleEndian(
                    bytes[(block + place)..], (Half)(scale * (random.NextDouble() - (place == 82 ? 0 : 0.5))));
        return tensor;
    }

    /// <summary>What a stored tensor stands for.</summary>
    public static float[] Values(Tensor stored)
    {
        using var scope = Arena.Current.Scope();
        return Op.Convert(stored, ElementType.F32).ToArray();
    }

    /// <summary>Rows rounded to 8 bits as products with quantized weights see them.</summary>
    public static double[] Rounded(float[] x)
    {
        var rounded = new double[x.Length];
        for (var block = 0; block < x.Length; block += 32)
        {
            var greatest = x.Skip(block).Take(32).Max(MathF.Abs);
            if (greatest < 1e-35f) continue;
            for (var i = block; i < block + 32; i++) rounded[i] = Math.Round(x[i] * (127 / greatest)) * (greatest / 127);
        }

        return rounded;
    }

    /// <summary>The product of the numbers given, and for each element the sum of the products' magnitudes.</summary>
    public static (double[] Y, double[] Magnitudes) Product(double[] x, float[] weight, int inputs, int outputs)
    {
        var rows = inputs == 0 ? 0 : x.Length / inputs;
        var (y, magnitudes) = (new double[rows * outputs], new double[rows * outputs]);
        for (var row = 0; row < rows; row++)
            for (var output = 0; output < outputs; output++)
                for (var i = 0; i < inputs; i++)
                {
                    var product = x[(row * inputs) + i] * weight[(output * inputs) + i];
                    y[(row * outputs) + output] += product;
                    magnitudes[(row * outputs) + output] += Math.Abs(product);
                }

        return (y, magnitudes);
    }

    /// <summary>Requires each element within <paramref name="relative"/> of its magnitude; gives the largest such error.</summary>
    public static double Compare(string what, double[] expected, double[] magnitudes, ReadOnlySpan<float> found, double relative)
    {
        Assert.Equal(expected.Length, found.Length);
        var largest = 0.0;
        for (var i = 0; i < expected.Length; i++)
        {
            var error = Math.Abs(expected[i] - found[i]) / Math.Max(magnitudes[i], 1e-30);
            Assert.True(
                error <= relative, $"{what}: element {i} is {found[i]}, expected {expected[i]}: error {error:E2} of the magnitudes' sum");
            largest = Math.Max(largest, error);
        }

        return largest;
    }
}
