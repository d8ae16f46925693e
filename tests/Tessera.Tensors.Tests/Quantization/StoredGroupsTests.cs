namespace Tessera.Tensors.Tests.Quantization;

/// <summary>Groups of rows, as the experts of a mixture have them, times stored weights.</summary>
public class StoredGroupsTests
{
    public static TheoryData<ElementType> Types { get; } = [.. Stored.Types];

    [Theory, MemberData(nameof(Types))]
    public void Groups_of_few_and_of_many_rows_give_what_a_linear_map_of_each_gives(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        const int Inputs = 512, Outputs = 75, Unused = 3;
        int[] sizes = [0, 1, 40, 2, 3, 0, 13, 1, 100, 0];
        var offsets = new int[sizes.Length + 1];
        for (var group = 0; group < sizes.Length; group++) offsets[group + 1] = offsets[group] + sizes[group];
        var weight = Stored.Weight(type, [sizes.Length, Outputs, Inputs], 3);
        var values = Stored.Values(weight);
        var x = OperationCheck.Random([offsets[^1] + Unused, Inputs], 4).Values;

        var y = Op.GroupedLinear(Tensor.From(x, [offsets[^1] + Unused, Inputs]), weight, Tensor.From(offsets, [offsets.Length])).ToArray();

        for (var group = 0; group < sizes.Length; group++)
        {
            var rows = x[(offsets[group] * Inputs)..(offsets[group + 1] * Inputs)];
            double[] seen = Stored.RoundsActivations(type) ? Stored.Rounded(rows) : [.. rows.Select(element => (double)element)];
            var own = values[(group * Outputs * Inputs)..((group + 1) * Outputs * Inputs)];
            var (expected, magnitudes) = Stored.Product(seen, own, Inputs, Outputs);
            Stored.Compare($"group {group}", expected, magnitudes, y.AsSpan(offsets[group] * Outputs, sizes[group] * Outputs), 1e-6);
        }

        Assert.All(y[(offsets[^1] * Outputs)..], element => Assert.Equal(0, element));
    }

    [Theory]
    [InlineData(ElementType.Q8_0)]
    [InlineData(ElementType.Q4_K)]
    public void Groups_without_a_row_or_a_column_give_zeros(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var offsets = Tensor.From(new[] { 0, 0, 0 }, [3]);
        Assert.All(
            Op.GroupedLinear(Tensor.Allocate([2, 256]), Stored.Weight(type, [2, 5, 256], 3), offsets).ToArray(),
            element => Assert.Equal(0, element));
        var rows = Tensor.From(new[] { 0, 1, 5 }, [3]);
        Assert.All(
            Op.GroupedLinear(Tensor.Allocate([5, 0]), Tensor.Allocate([2, 5, 0], type), rows).ToArray(),
            element => Assert.Equal(0, element));
    }
}
