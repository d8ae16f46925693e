using System.Reflection;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public class StepTests
{
    [Fact]
    public void Whatever_is_read_of_a_step_after_its_scope_throws_and_names_it()
    {
        Step step;
        using (Arena.Current.Scope()) step = Step.At(PartCheck.Positions(1, 3));
        foreach (var property in typeof(Step).GetProperties(BindingFlags.Instance | BindingFlags.Public))
        {
            var error = Assert.Throws<TargetInvocationException>(() => property.GetValue(step)).InnerException;
            Assert.Contains("Step", Assert.IsType<ObjectDisposedException>(error).Message, StringComparison.Ordinal);
        }

        Assert.Throws<ObjectDisposedException>(() => step.AddLoss("balance", Tensor.Allocate([])));
        using (Arena.Current.Scope()) Assert.Equal([1, 3], Step.At(PartCheck.Positions(1, 3)).Positions.Shape.AsSpan().ToArray()); // the object lives again
    }

    [Fact]
    public void A_step_of_ones_own_may_be_kept()
    {
        var step = new Step { Positions = Tensor.Allocate([1, 2], ElementType.I32) };
        using (Arena.Current.Scope()) Assert.Null(step.Lengths);
        Assert.Equal(2, step.Positions.Ints.Length);
    }
}
