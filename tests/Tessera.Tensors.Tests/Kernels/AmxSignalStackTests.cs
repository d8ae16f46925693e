using System.Runtime.CompilerServices;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Testing;

namespace Tessera.Tensors.Tests.Kernels;

public class AmxSignalStackTests
{
    [LinuxFact("only its threads have signal stacks to enlarge")]
    public void An_access_to_null_is_still_an_exception_on_a_thread_with_a_larger_signal_stack_and_the_thread_ends_well()
    {
        for (var i = 0; i < 20; i++)
        {
            var (bytes, again, caught) = (0L, 0L, false);
            var thread = new Thread(() =>
            {
                AmxSignalStack.Ensure();
                bytes = AmxSignalStack.Current();
                try
                {
                    _ = Length(null!);
                }
                catch (NullReferenceException)
                {
                    caught = true;
                }

                AmxSignalStack.Ensure();
                again = AmxSignalStack.Current();
            });
            thread.Start();
            thread.Join();
            Assert.True(caught);
            Assert.True(bytes >= AmxSignalStack.Bytes, $"{bytes} bytes");
            Assert.Equal(bytes, again);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Length(string text) => text.Length;
}
