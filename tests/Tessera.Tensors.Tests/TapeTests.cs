namespace Tessera.Tensors.Tests;

public class TapeTests
{
    [Fact]
    public void Gradients_of_parameters_add_up_over_several_passes_until_they_are_cleared()
    {
        var weight = Tensor.AllocateParameter([2]);
        Assert.Equal(0, weight.Gradient.Length);
        for (var pass = 1; pass <= 3; pass++)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            tape.Backward(Op.Scale(weight, 2), [1, 10]);
            Assert.Equal([2 * pass, 20 * pass], weight.Gradient.ToArray());
        }

        weight.ClearGradient();
        Assert.Equal(0, weight.Gradient.Length);
        using (Arena.Current.Scope())
        using (var tape = Tape.Record())
            tape.Backward(Op.Scale(weight, 2), [1, 1]);
        Assert.Equal([2, 2], weight.Gradient.ToArray());
    }

    [Fact]
    public void A_share_of_a_loss_scales_its_gradients()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([3f], []).WithGradient();
        tape.Backward(Op.Scale(x, 2), scale: 0.25f);
        tape.Backward(Op.Scale(x, 2), scale: 0.25f);
        Assert.Equal([1], x.Gradient.ToArray());
    }

    [Fact]
    public void Reshaped_tensors_share_their_gradient()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([1f, 2, 3, 4], [4]).WithGradient();
        var square = x.Reshape([2, 2]);
        var y = Op.Add(Op.Scale(square, 2), Op.Scale(x, 3).Reshape([2, 2])).Reshape([4, 1]);
        tape.Backward(y, [1, 2, 3, 4]);
        Assert.Equal([5, 10, 15, 20], x.Gradient.ToArray());
        Assert.Equal(x.Gradient.ToArray(), square.Gradient.ToArray());
    }

    [Fact]
    public void A_side_of_a_sum_that_is_used_elsewhere_leaves_the_other_sides_gradient_alone()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (x, w) = (Tensor.From([2f, 3], [2]).WithGradient(), Tensor.From([1f, 1], [2]).WithGradient());
        var (left, right) = (Op.Scale(x, 1), Op.Scale(w, 1));
        var doubled = Op.Scale(left, 2); // on the way back after the sum, before both of its sides
        var y = Op.Add(Op.Add(left, right), doubled);
        tape.Backward(y, [1, 10]);
        Assert.Equal([3, 30], x.Gradient.ToArray());
        Assert.Equal([1, 10], w.Gradient.ToArray());
    }

    [Fact]
    public void Clearing_the_gradient_of_one_side_of_a_sum_leaves_the_other_sides_alone()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (x, w) = (Tensor.From([2f, 3], [2]).WithGradient(), Tensor.From([1f, 1], [2]).WithGradient());
        tape.Backward(Op.Add(x, w), [1, 10]);
        x.ClearGradient();
        tape.Backward(Op.Scale(x, 5), [1, 1]);
        Assert.Equal([5, 5], x.Gradient.ToArray());
        Assert.Equal([1, 10], w.Gradient.ToArray());
        tape.Backward(Op.Add(x, w), [1, 1]);
        Assert.Equal([6, 6], x.Gradient.ToArray());
        Assert.Equal([2, 11], w.Gradient.ToArray());
    }

    [Fact]
    public void An_intermediate_result_used_twice_passes_both_gradients_on()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([2f], []).WithGradient();
        var y = Op.Scale(x, 3);
        tape.Backward(Op.Add(Op.Scale(y, 5), Op.Gate(y, y, Activation.Relu))); // 5y + y²
        Assert.Equal([3 * (5 + (2 * 6))], x.Gradient.ToArray());
    }

    [Fact]
    public void What_the_loss_does_not_depend_on_gets_no_gradient()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (x, other) = (Tensor.From([1f], []).WithGradient(), Tensor.From([1f], []).WithGradient());
        var unused = Op.Scale(Op.Add(other, x), 7);
        Assert.True(unused.RequiresGradient);
        tape.Backward(Op.Scale(x, 2));
        Assert.Equal([2], x.Gradient.ToArray());
        Assert.Equal(0, other.Gradient.Length);
    }

    [Fact]
    public void Nothing_is_recorded_without_a_tape_while_paused_or_where_nothing_needs_a_gradient()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From([1f], []).WithGradient();
        var plain = Tensor.From([1f], []);
        Assert.False(Tape.IsRecording);
        Assert.False(Op.Scale(x, 2).RequiresGradient);
        using (var tape = Tape.Record())
        {
            Assert.True(Tape.IsRecording);
            Assert.True(Op.Scale(x, 2).RequiresGradient);
            Assert.False(Op.Scale(plain, 2).RequiresGradient);
            Assert.False(Op.Add(plain, plain).RequiresGradient);
            using (Tape.Pause())
            {
                Assert.False(Tape.IsRecording);
                Assert.False(Op.Scale(x, 2).RequiresGradient);
                using (Tape.Record()) Assert.True(Op.Scale(x, 2).RequiresGradient);
                Assert.False(Tape.IsRecording);
            }

            Assert.True(Tape.IsRecording);
            var loss = Op.Scale(x, 2);
            tape.Backward(loss);
            Assert.Equal([2], x.Gradient.ToArray());
            Assert.True(Tape.IsRecording);
        }

        Assert.False(Tape.IsRecording);
    }

    [Fact]
    public void A_nested_tape_leaves_the_outer_ones_record_alone()
    {
        using var scope = Arena.Current.Scope();
        using var outer = Tape.Record();
        var x = Tensor.From([1f], []).WithGradient();
        var y = Op.Scale(x, 2);
        using (var inner = Tape.Record()) inner.Backward(Op.Scale(y, 3)); // reaches y, not x
        Assert.Equal([3], y.Gradient.ToArray());
        Assert.Equal(0, x.Gradient.Length);
        outer.Backward(Op.Scale(y, 10));
        Assert.Equal([2 * (3 + 10)], x.Gradient.ToArray());
    }

    [Fact]
    public void A_tape_is_empty_after_a_pass_also_where_the_loss_needs_no_gradient()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([1f], []).WithGradient();
        var y = Op.Scale(x, 2);
        tape.Backward(Tensor.From([1f], []));
        tape.Backward(y);
        Assert.Equal(0, x.Gradient.Length);
    }

    [Fact]
    public void An_exception_in_the_middle_leaves_tape_and_thread_usable()
    {
        using var scope = Arena.Current.Scope();
        using (var tape = Tape.Record())
        {
            var x = Tensor.From([1f], []).WithGradient();
            var y = Op.Checkpoint(x, Breaking());
            Assert.Throws<InvalidOperationException>(() => tape.Backward(y));
            Assert.True(Tape.IsRecording);
            x.ClearGradient();
            tape.Backward(Op.Scale(x, 4));
            Assert.Equal([4], x.Gradient.ToArray());
        }

        Assert.False(Tape.IsRecording);

        static Func<Tensor, Tensor> Breaking()
        {
            var calls = 0;
            return inner => ++calls == 1 ? Op.Scale(inner, 2) : throw new InvalidOperationException("on the way back");
        }
    }

    [Fact]
    public void Disposing_a_tape_closes_those_opened_after_it_and_disposing_twice_does_nothing()
    {
        var outer = Tape.Record();
        Tape.Pause();
        Tape.Record();
        outer.Dispose();
        Assert.False(Tape.IsRecording);
        outer.Dispose();
        Assert.False(Tape.IsRecording);
    }

    [Fact]
    public void A_loss_is_a_scalar_and_gradients_have_its_size()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var x = Tensor.From([1f, 2], [2]).WithGradient();
        Assert.Contains("expected a scalar", Assert.Throws<ShapeException>(() => tape.Backward(x)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "expected 3 elements", Assert.Throws<ShapeException>(() => tape.Backward(x, [1, 2, 3])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tapes_of_two_threads_do_not_see_each_other()
    {
        using var tape = Tape.Record();
        Samples.OnNewThread(() => Assert.False(Tape.IsRecording));
        Assert.True(Tape.IsRecording);
    }
}
