using Tessera.Tensors.Kernels;
using Tessera.Tensors.Tests.Kernels;

namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Products of many rounded rows with quantized weights in tiles (AMX), which an emulator runs.</summary>
[Collection(AmxCollection.Name)]
public class StoredTilesTests
{
    [LevelFact(KernelLevel.Avx512Vnni)]
    public void Tiles_give_the_bits_that_vectors_give()
    {
        foreach (var type in Stored.Types.Where(Stored.RoundsActivations))
            foreach (var (rows, outputs) in new[] { (3, 1), (16, 33), (33, 64), (70, 47) })
            {
                using var scope = Arena.Current.Scope();
                var weight = Stored.Weight(type, [outputs, 768], 3);
                var (x, bias) = (Random([rows, 768], 4), Random([outputs], 5));
                using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
                var tiles = Op.Linear(x, weight, bias).ToArray();
                Assert.True(emulation.Threads.Sum(thread => thread.Products) > 0);
                Assert.All(emulation.Threads, thread => Assert.False(thread.Configured));
                emulation.Dispose();
                if (Simd.Level == KernelLevel.Amx) continue; // which has no other way
                Assert.Equal(Op.Linear(x, weight, bias).ToArray(), tiles);
            }
    }

    [LevelFact(KernelLevel.Avx512Vnni)]
    public void Tiles_agree_with_double_precision_on_groups_and_on_rows_that_are_not_finite()
    {
        foreach (var type in Stored.Types.Where(Stored.RoundsActivations))
        {
            using var scope = Arena.Current.Scope();
            using var emulation = new AmxEmulation(new EmulatedMemory { Everything = true });
            const int Outputs = 40, Inputs = 256;
            var weight = Stored.Weight(type, [2, Outputs, Inputs], 3);
            var x = OperationCheck.Random([45, Inputs], 4).Values;
            var values = Stored.Values(weight);
            var (first, firstSizes) = Stored.Product(Stored.Rounded(x[..(5 * Inputs)]), values[..(Outputs * Inputs)], Inputs, Outputs);
            var (second, secondSizes) = Stored.Product(Stored.Rounded(x[(5 * Inputs)..]), values[(Outputs * Inputs)..], Inputs, Outputs);
            x[^1] = float.NaN;
            var y = Op.GroupedLinear(Tensor.From(x, [45, Inputs]), weight, Tensor.From(new[] { 0, 5, 45 }, [3])).ToArray();
            Stored.Compare($"{type}: first", first, firstSizes, y.AsSpan(0, 5 * Outputs), 1e-6);
            Stored.Compare(
                $"{type}: second", second[..^Outputs], secondSizes[..^Outputs], y.AsSpan(5 * Outputs, 39 * Outputs), 1e-6);
            Assert.All(y[^Outputs..], element => Assert.True(float.IsNaN(element)));
        }
    }

    private static Tensor Random(Shape shape, int seed) => Tensor.From(OperationCheck.Random(shape, seed).Values, shape);
}
