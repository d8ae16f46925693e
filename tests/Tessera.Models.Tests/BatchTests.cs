using System.Reflection;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

public class BatchTests
{
    [Fact]
    public void Whatever_is_read_of_a_batch_after_its_scope_throws_and_names_it()
    {
        Batch batch;
        using (Arena.Current.Scope())
        {
            var tokens = Tensor.From([1, 2, 3], [1, 3]);
            batch = Batch.Of(tokens, tokens, Batch.PositionsFromStart(1, 3));
            batch.Tokens = 3;
        }

        foreach (var property in typeof(Batch).GetProperties(BindingFlags.Instance | BindingFlags.Public))
        {
            var error = Assert.Throws<TargetInvocationException>(() => property.GetValue(batch)).InnerException;
            Assert.Contains("Batch", Assert.IsType<ObjectDisposedException>(error).Message, StringComparison.Ordinal);
        }
    }
}
