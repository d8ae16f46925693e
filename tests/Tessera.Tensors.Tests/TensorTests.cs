namespace Tessera.Tensors.Tests;

public class TensorTests
{
    [Fact]
    public void An_owned_tensor_begins_with_zeros_and_outlives_scopes()
    {
        Tensor owned;
        using (Arena.Current.Scope()) owned = Tensor.Allocate([2, 3]);
        Assert.Equal(new float[6], owned.ToArray());
        Assert.Equal(new int[4], Tensor.Allocate([4], ElementType.I32).Ints.ToArray());
        Assert.False(owned.RequiresGradient);
        Assert.True(Tensor.AllocateParameter([2]).RequiresGradient);
    }

    [Fact]
    public void From_copies_and_wants_as_many_values_as_the_shape_has()
    {
        using var scope = Arena.Current.Scope();
        float[] values = [1, 2, 3];
        var tensor = Tensor.From(values, [3]);
        values[0] = 9;
        Assert.Equal([1, 2, 3], tensor.ToArray());
        Assert.Equal("3 values do not fill shape [2, 2]", Assert.Throws<ArgumentException>(() => Tensor.From(values, [2, 2])).Message);
        Assert.Throws<ArgumentException>(() => Tensor.From([1, 2], [3]));
    }

    [Fact]
    public void Views_share_elements_and_keep_owned_memory_alive()
    {
        using var scope = Arena.Current.Scope();
        static Tensor Rows()
        {
            var owned = Tensor.Allocate([3, 2]);
            for (var i = 0; i < 6; i++) owned.Floats[i] = i;
            return owned.View([2, 2], 2);
        }

        var view = Rows();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal([2, 3, 4, 5], view.ToArray());

        var tensor = Tensor.From([1f, 2, 3, 4], [4]);
        tensor.Reshape([2, 2]).Floats[3] = 7;
        Assert.Equal([1, 2, 3, 7], tensor.ToArray());
        Assert.Equal("reshape: [4] cannot become [5]", Assert.Throws<ShapeException>(() => tensor.Reshape([5])).Message);
    }

    [Fact]
    public void A_slice_is_a_view_of_consecutive_entries()
    {
        using var scope = Arena.Current.Scope();
        var tensor = Tensor.From([.. Enumerable.Range(0, 12).Select(i => (float)i)], [4, 3]).WithGradient();
        var slice = tensor.Slice(1, 2);
        Assert.Equal("F32 [2, 3]", slice.ToString());
        Assert.Equal([3, 4, 5, 6, 7, 8], slice.ToArray());
        Assert.False(slice.RequiresGradient);
        slice.Floats[0] = 9;
        Assert.Equal(9, tensor.Floats[3]);
        Assert.Equal(0, tensor.Slice(4, 0).Shape.Count);
        Assert.Equal([11], tensor.Reshape([12]).Slice(11, 1).ToArray());

        var stored = Op.Convert(Tensor.From(OperationCheck.Random([3, 64], 1).Values, [3, 64]), ElementType.Q8_0);
        Assert.Equal(stored.Bytes[68..].ToArray(), stored.Slice(1, 2).Bytes.ToArray());
        Assert.Throws<ShapeException>(() => stored.Reshape([192]).Slice(16, 32));
        foreach (var (start, count) in new[] { (3, 2), (-1, 2), (1, -1), (5, 0), (int.MaxValue, int.MaxValue) })
        {
            var error = Assert.Throws<ShapeException>(() => tensor.Slice(start, count));
            Assert.Equal($"slice: tensor is F32 [4, 3], expected {count} entries from {start} on", error.Message);
        }

        Assert.Throws<ShapeException>(() => Tensor.From([1f], []).Slice(0, 1));
    }

    [Fact]
    public void Keep_copies_out_of_the_scope_without_the_gradient()
    {
        Tensor kept, ids;
        using (Arena.Current.Scope())
        {
            kept = Tensor.From([1f, 2], [2]).WithGradient().Keep();
            ids = Tensor.From([3, 4], [2]).Keep();
        }

        Assert.Equal([1, 2], kept.ToArray());
        Assert.Equal([3, 4], ids.Ints.ToArray());
        Assert.False(kept.RequiresGradient);
    }

    [Fact]
    public void Item_is_the_only_element()
    {
        using var scope = Arena.Current.Scope();
        Assert.Equal(5, Tensor.From([5f], [1, 1]).Item());
        Assert.Contains(
            "item: tensor is F32 [2], expected one element", Assert.Throws<ShapeException>(() => Tensor.Temporary([2]).Item()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Elements_are_read_as_the_type_they_have()
    {
        var ids = Tensor.Allocate([2], ElementType.I32);
        Assert.Equal("read: tensor is I32 [2], expected F32", Assert.Throws<ShapeException>(() => ids.Floats.Length).Message);
        Assert.Equal(
            "read: tensor is F32 [2], expected I32", Assert.Throws<ShapeException>(() => Tensor.Allocate([2]).Ints.Length).Message);
        Assert.Equal(8, ids.Bytes.Length);
        Assert.Equal("I32 [2]", ids.ToString());
        Assert.Throws<ShapeException>(() => ids.WithGradient());
    }

    [Fact]
    public void An_owned_tensor_that_wants_a_gradient_keeps_it_beyond_the_scope() => Samples.OnNewThread(() =>
    {
        var owned = Tensor.Allocate([2]).WithGradient();
        using (Arena.Current.Scope())
        using (var tape = Tape.Record())
            tape.Backward(Op.Scale(owned, 3), [1, 2]);
        using (Arena.Current.Scope()) // what used the arena's memory again
            for (var i = 0; i < 5; i++) Tensor.From([9f, 9], [2]).WithGradient().Slot!.Add([9, 9]);
        Assert.Equal([3, 6], owned.Gradient.ToArray());
    });
}
