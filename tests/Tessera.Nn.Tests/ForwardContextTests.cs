using System.Reflection;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public class ForwardContextTests
{
    [Fact]
    public void Whatever_is_read_of_a_context_after_its_scope_throws_and_names_it()
    {
        ForwardContext context;
        using (Arena.Current.Scope()) context = ForwardContext.At(PartCheck.Positions(1, 3));
        foreach (var property in typeof(ForwardContext).GetProperties(BindingFlags.Instance | BindingFlags.Public))
        {
            var error = Assert.Throws<TargetInvocationException>(() => property.GetValue(context)).InnerException;
            Assert.Contains("ForwardContext", Assert.IsType<ObjectDisposedException>(error).Message, StringComparison.Ordinal);
        }

        Assert.Throws<ObjectDisposedException>(() => context.AddLoss("balance", Tensor.Allocate([])));
        using (Arena.Current.Scope())
            Assert.Equal([1, 3], ForwardContext.At(PartCheck.Positions(1, 3)).Positions.Shape.AsSpan().ToArray()); // the object lives again
    }

    [Fact]
    public void A_context_of_ones_own_may_be_kept()
    {
        var context = new ForwardContext { Positions = Tensor.Allocate([1, 2], ElementType.I32) };
        using (Arena.Current.Scope()) Assert.Null(context.Lengths);
        Assert.Equal(2, context.Positions.Ints.Length);
    }
}
