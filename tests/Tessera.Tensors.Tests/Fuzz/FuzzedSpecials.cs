namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>
/// Numbers that kernels which compute on bits may lose, one of them in one input of any operation: what is not a number, with bits that
/// arithmetic never makes but files may hold; infinities; −0; numbers too small to be normal. The result is what the equation gives
/// in double precision: NaN where that is NaN, the same infinity, and near it where it is finite.
/// </summary>
internal static class FuzzedSpecials
{
    private static readonly string[] s_operations =
    [
        "linear", "linear", "linear-turned", "grouped-linear", "linear-bf16", "linear-f16", "grouped-linear-bf16", "attention", "attention",
        "attention-bf16", "lstm", "gru", "lstm-bf16", "rms-norm", "layer-norm", "activate", "activate", "gate", "add-scale", "add-row",
        "multiply-row", "normalize-rows", "softmax", "cross-entropy", "linear-cross-entropy", "linear-cross-entropy-bf16", "rotate",
        "embedding", "columns", "join", "segments",
    ];

    /// <summary>Quiet and signalling, of either sign, with low bits set and without.</summary>
    private static readonly uint[] s_notNumbers = [0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0x7F80_01FF, 0x7FC0_01FF, 0xFF80_0100, 0x7FFF_FFFF];

    private static readonly float[] s_others = [float.PositiveInfinity, float.NegativeInfinity, -0f, float.Epsilon, -1e-39f, 1e-40f];

    public static FuzzCase Operation(Draw draw)
    {
        var name = draw.Pick<string>(s_operations);
        var one = Fuzzed.Operations[name](draw);
        var value = Any(draw);
        var seed = draw.Between(0, 1 << 20);
        return one with { Name = $"{value} ({BitConverter.SingleToUInt32Bits(value):X8}) {seed} in {name}: {one.Name}", Special = (value, seed) };
    }

    /// <summary>A row of a product with a stored weight, or an output's scale in the weight: what is made of it is not finite where it should
    /// not be (a quantized product knows no more: its scales are the blocks'), and nothing else has other bits.</summary>
    public static FuzzCase Stored(Draw draw)
    {
        var type = draw.Pick(Quantization.Stored.Types);
        var (rows, inputs, outputs) = (draw.Size(33, 1), draw.Pick(256, 512), draw.Size(65, 1));
        var (row, output, column, inWeight) = (draw.Between(0, rows - 1), draw.Between(0, outputs - 1), draw.Between(0, inputs - 1), draw.Coin);
        var (x, value, seed) = (draw.Normal([rows, inputs]), Any(draw), draw.Between(1, 1000));
        var scale = draw.Pick<ushort>(0x7E00, 0x7C01, 0xFDFF, 0x7C00, 0xFC00); // NaNs and infinities of F16
        var where = inWeight ? $"scale {scale:X4} of output {output}" : $"{value} ({BitConverter.SingleToUInt32Bits(value):X8}) at ({row}, {column})";
        return new FuzzCase($"{where} of [{rows}, {inputs}] to {outputs} in {type}", _ =>
        {
            using var scope = Arena.Current.Scope();
            var weight = Quantization.Stored.Weight(type, [outputs, inputs], seed);
            var clean = Op.Linear(FuzzCase.Owned(x), weight).ToArray();
            var spoilt = x.Values.ToArray();
            if (inWeight) Spoil(weight, output, scale);
            else spoilt[(row * inputs) + column] = value;
            var found = Op.Linear(FuzzCase.Owned((x.Shape, spoilt)), weight).ToArray();
            var finite = !inWeight && float.IsFinite(value);
            for (var i = 0; i < found.Length; i++)
            {
                if (inWeight ? i % outputs != output : i / outputs != row)
                    Assert.True(clean[i].Equals(found[i]), $"({i / outputs}, {i % outputs}) is {found[i]}, was {clean[i]}");
                else if (inWeight && type == ElementType.MXFP4) Assert.True(float.IsNaN(found[i]), $"({i / outputs}, {i % outputs}) is {found[i]}");
                else Assert.True(float.IsFinite(found[i]) == finite, $"({i / outputs}, {i % outputs}) is {found[i]}");
            }
        });
    }

    /// <summary>Conversions of single numbers between F32, BF16 and F16, in rows of any length.</summary>
    public static FuzzCase Convert(Draw draw)
    {
        var (type, x, value) = (draw.Pick(ElementType.BF16, ElementType.F16), draw.Normal([1, draw.Size(129, 1)]), Any(draw));
        x.Values[draw.Between(0, x.Values.Length - 1)] = value;
        return new FuzzCase($"{value} ({BitConverter.SingleToUInt32Bits(value):X8}) among {x.Values.Length} to {type} and back", _ =>
        {
            using var scope = Arena.Current.Scope();
            var found = Op.Convert(Op.Convert(FuzzCase.Owned(x), type), ElementType.F32).ToArray();
            for (var i = 0; i < found.Length; i++)
            {
                var expected = type == ElementType.F16 ? (float)(Half)x.Values[i] : (float)Brain(x.Values[i]);
                Assert.True(
                    expected.Equals(found[i]) && float.IsNegative(expected) == float.IsNegative(found[i]),
                    $"element {i}: {x.Values[i]} became {found[i]}, expected {expected}");
            }
        });
    }

    private static float Any(Draw draw) =>
        draw.Coin ? BitConverter.UInt32BitsToSingle(draw.Pick<uint>(s_notNumbers)) : draw.Pick<float>(s_others);

    /// <summary>To the nearest BF16, to even.</summary>
    private static float Brain(float value)
    {
        if (!float.IsFinite(value)) return value;
        var bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000);
    }

    /// <summary>Makes the scale of the first block of an output, or its first number, one that is not finite.</summary>
    private static void Spoil(Tensor weight, int output, ushort scale)
    {
        var row = weight.Bytes.Slice(output * (weight.Bytes.Length / weight.Shape[0]));
        if (weight.Type == ElementType.MXFP4) row[0] = 0xFF; // its scale is a power of two: NaN is all there is
        else BitConverter.TryWriteBytes(row[ScaleOf(weight.Type)..], weight.Type == ElementType.BF16 ? (ushort)(scale | 0x7F80) : scale);
    }

    /// <summary>Where in a block its F16 scale is.</summary>
    private static int ScaleOf(ElementType type) => type switch
    {
        ElementType.Q2_K => 80,
        ElementType.Q3_K => 108,
        ElementType.Q6_K => 208,
        _ => 0,
    };

    /// <summary>Puts the number into one of the inputs that have any.</summary>
    public static void Put((float Value, int Seed) special, (Shape Shape, float[] Values)[] inputs)
    {
        var filled = inputs.Where(input => input.Values.Length > 0).ToArray();
        if (filled.Length == 0) return;
        var values = filled[special.Seed % filled.Length].Values;
        values[special.Seed / filled.Length % values.Length] = special.Value;
    }

    public static void Compare(double[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        var largest = expected.Where(double.IsFinite).Select(Math.Abs).Append(1).Max();
        for (var i = 0; i < expected.Length; i++)
            Assert.True(
                double.IsNaN(expected[i]) ? float.IsNaN(found[i])
                : double.IsInfinity(expected[i]) ? found[i] == expected[i]
                : Math.Abs(found[i] - expected[i]) <= tolerance * largest, $"element {i} is {found[i]}, expected {expected[i]}");
    }
}
