using FsCheck.Fluent;

namespace Tessera.Tensors.Tests;

public class ShapeTests
{
    [Fact]
    public void A_shape_remembers_its_sizes() => Samples.ForAll(Gen.Choose(0, 7).ArrayOf().Where(sizes => sizes.Length <= Shape.MaximumRank), sizes =>
    {
        var shape = new Shape(sizes);
        Assert.Equal(sizes.Length, shape.Rank);
        Assert.Equal(sizes, shape.AsSpan().ToArray());
        Assert.Equal(sizes.Aggregate(1L, (product, size) => product * size), shape.Count);
        Assert.Equal(sizes.SkipLast(1).Aggregate(1, (product, size) => product * size), shape.Rows);
        Assert.Equal($"[{string.Join(", ", sizes)}]", shape.ToString());
        for (var axis = 0; axis < sizes.Length; axis++)
        {
            Assert.Equal(sizes[axis], shape[axis]);
            Assert.Equal(sizes[axis], shape[^(sizes.Length - axis)]);
        }

        var walked = new List<int>();
        foreach (var size in shape) walked.Add(size);
        Assert.Equal(sizes, walked);
    });

    [Fact]
    public void Shapes_are_equal_where_their_sizes_are()
    {
        Shape left = [2, 3], right = new(2, 3);
        Assert.True(left == right && left.Equals((object)right) && left.GetHashCode() == right.GetHashCode());
        Assert.True(left != [3, 2] && left != [2, 3, 1] && left != []);
        Assert.True(default == (Shape)[]);
        Assert.False(left.Equals("[2, 3]"));
    }

    [Fact]
    public void A_scalar_has_one_element_and_no_axis()
    {
        Shape scalar = [];
        Assert.Equal((0, 1L, 1, 1), (scalar.Rank, scalar.Count, scalar.Width, scalar.Rows));
        Assert.Throws<ArgumentOutOfRangeException>(() => ((Shape)[])[^1]);
        Assert.Equal([5], scalar.WithWidth(5));
        Assert.Equal([5], scalar.Append(5));
    }

    [Fact]
    public void Width_and_rank_can_be_changed()
    {
        Shape shape = [2, 3];
        Assert.Equal([2, 7], shape.WithWidth(7));
        Assert.Equal([2, 3, 7], shape.Append(7));
        Assert.Throws<ArgumentException>(() => new Shape(1, 2, 3, 4, 5).Append(6));
    }

    [Fact]
    public void Bad_sizes_and_axes_are_named()
    {
        Assert.Contains("axis 1 has the negative size -3", Assert.Throws<ArgumentException>(() => new Shape(2, -3)).Message, StringComparison.Ordinal);
        Assert.Contains("at most 5 axes, found 6", Assert.Throws<ArgumentException>(() => new Shape(1, 1, 1, 1, 1, 1)).Message, StringComparison.Ordinal);
        Assert.Contains("[2, 3] has no axis 2", Assert.Throws<ArgumentOutOfRangeException>(() => new Shape(2, 3)[2]).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Shape(2, 3)[^3]);
        Assert.Throws<OverflowException>(() => new Shape(int.MaxValue, int.MaxValue, int.MaxValue).Count);
        Assert.Throws<OverflowException>(() => new Shape(int.MaxValue, 4, 1).Rows);
    }
}
