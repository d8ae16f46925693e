using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class EmbeddingTests(ITestOutputHelper output)
{
    [Fact]
    public void Embedding_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "embedding");
        Samples.ForAll(Samples.Rows.Zip(Samples.MaxSide, Samples.MaxSide).Zip(Samples.Width, Samples.Seed), size =>
        {
            var ((batch, length, rows), width, seed) = size;
            var ids = Samples.Below(rows, batch * length, seed); // some rows more than once, some never
            var scale = seed % 2 == 0 ? 1 : 2.5f;
            errors.Add(OperationCheck.Run(
                x => Op.Embedding(Tensor.From(ids, [batch, length]), x[0], scale),
                x => [.. ids.SelectMany(id => x[0].Skip(id * width).Take(width)).Select(value => value * scale)],
                1e-6, OperationCheck.Random([rows, width], seed)));
        });
    }

    [Fact]
    public void The_result_has_the_shape_of_the_ids_and_one_axis_more()
    {
        using var scope = Arena.Current.Scope();
        var table = Tensor.Temporary([7, 3]);
        Assert.Equal(new Shape(2, 4, 3), Op.Embedding(Tensor.From(new int[8], [2, 4]), table).Shape);
        Assert.Equal(new Shape(3), Op.Embedding(Tensor.From([6], []), table).Shape);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(7)]
    [InlineData(int.MaxValue)]
    public void An_id_outside_the_table_is_named_with_its_place(int id)
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.Embedding(Tensor.From([0, 6, id], [3]), Tensor.Allocate([7, 3])));
        Assert.Equal($"embedding: id {id} at 2 is outside a table of 7 rows", error.Message);
    }

    [Fact]
    public void Ids_are_whole_numbers()
    {
        using var scope = Arena.Current.Scope();
        Assert.Throws<ShapeException>(() => Op.Embedding(Tensor.Temporary([3]), Tensor.Temporary([7, 3])));
    }
}
