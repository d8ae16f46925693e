using FsCheck.Fluent;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Few rows with a BF16 weight in a BF16 scope: both factors are rounded where the processor has the instructions, the weight
/// alone elsewhere.</summary>
public class Bf16RowsTests
{
    [Fact]
    public void Products_agree_with_those_of_rounded_factors_on_random_shapes()
    {
        var sizes = Gen.Choose(1, 31)
            .Zip(Gen.Elements(1, 2, 3, 4, 5, 17, 33), Gen.Elements(1, 15, 16, 31, 32, 33, 63, 64, 65, 200))
            .Zip(Gen.Elements(true, false))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((rows, outputs, columns), biased), seed) = size;
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(Precision.BF16);
            var (_, x) = OperationCheck.Random([rows, columns], seed);
            var (_, w) = OperationCheck.Random([outputs, columns], seed + 1);
            var (_, b) = OperationCheck.Random([outputs], seed + 2);
            var weight = Op.Convert(Tensor.From(w, [outputs, columns]), ElementType.BF16);
            var y = Op.Linear(Tensor.From(x, [rows, columns]), weight, biased ? Tensor.From(b, [outputs]) : null).ToArray();

            var rounds = MatrixProductKinds.HasBf16 && Math.Min(outputs, columns) >= 16;
            for (var i = 0; i < y.Length; i++)
            {
                var (row, output) = (i / outputs, i % outputs);
                double expected = biased ? b[output] : 0, magnitude = 1;
                for (var k = 0; k < columns; k++)
                {
                    var factor = x[(row * columns) + k];
                    var product = (double)(rounds ? Rounded(factor) : factor) * Rounded(w[(output * columns) + k]);
                    (expected, magnitude) = (expected + product, magnitude + Math.Abs(product));
                }

                Assert.True(
                    Math.Abs(expected - y[i]) <= 1e-6 * magnitude,
                    $"{rows} x {outputs} x {columns}, element {i}: {y[i]}, expected {expected}");
            }
        });
    }

    [Fact]
    public void A_row_with_NaN_spoils_itself_alone()
    {
        using var scope = Arena.Current.Scope();
        using var cast = Autocast.Enter(Precision.BF16);
        var x = OperationCheck.Random([3, 40], 1).Values;
        x[45] = float.NaN;
        var y = Op.Linear(
                Tensor.From(x, [3, 40]),
                Op.Convert(Tensor.From(OperationCheck.Random([20, 40], 2).Values, [20, 40]), ElementType.BF16)
            )
            .ToArray();
        for (var i = 0; i < y.Length; i++) Assert.Equal(i / 20 == 1, float.IsNaN(y[i]));
    }

    /// <summary>To the nearest number of 8 significant bits, to even between two.</summary>
    private static float Rounded(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
