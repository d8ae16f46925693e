namespace Tessera.Tensors.Tests.Ops;

public class RotaryRowsTests
{
    [Fact]
    public void A_row_is_that_of_its_position_in_the_table_of_all()
    {
        using var scope = Arena.Current.Scope();
        double[] angles = [1, 0.3, 0.01, 2e-5, 1.7];
        var positions = Samples.Below(900, 300, 1);
        var (cosines, sines) = Initial.Rotary(900, angles, 1.25);
        var own = Op.RotaryRows(Tensor.From(positions, [3, 100]), angles, 1.25);
        Assert.Equal([3, 100], own.Rows.Shape);
        Assert.Equal(Enumerable.Range(0, 300), own.Rows.Ints.ToArray());
        Assert.Equal(positions.SelectMany(position => cosines.ToArray().Skip(position * 5).Take(5)), own.Cosines.ToArray());
        Assert.Equal(positions.SelectMany(position => sines.ToArray().Skip(position * 5).Take(5)), own.Sines.ToArray());
    }

    [Fact]
    public void No_position_has_no_row()
    {
        using var scope = Arena.Current.Scope();
        var none = Op.RotaryRows(Tensor.From(Array.Empty<int>(), [2, 0]), [1]);
        Assert.Equal([0, 1], none.Cosines.Shape);
        Assert.Equal([2, 0], none.Rows.Shape);
    }

    [Fact]
    public void A_position_before_the_first_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.RotaryRows(Tensor.From([3, -1], [1, 2]), [1]));
        Assert.Equal("rotary positions: position -1 is before the first", error.Message);
        Assert.Throws<ShapeException>(() => Op.RotaryRows(Tensor.Temporary([1, 2]), [1]));
    }
}
