using System.Runtime.InteropServices;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Tests.Fuzz;
using Tessera.Tensors.Tests.Guards;
using Tessera.Tensors.Tests.Kernels;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>
/// Operations at every level the machine has, on one, two and three threads, between guard pages: the fuzzed cases in a
/// process for each. <c>TESSERA_TEST_CASES</c> sets how many of each operation (bench/all-levels.sh: many, and the other
/// tests of operations as well).
/// </summary>
public class LevelTests(ITestOutputHelper output)
{
    private static readonly ulong s_count = ulong.TryParse(Environment.GetEnvironmentVariable("TESSERA_TEST_CASES"), out var count)
        ? count
        : 12;

    [Theory]
    [LevelData]
    public void Every_operation_agrees_with_its_equation_and_stays_within_its_buffers(string level, int threads)
    {
        var side = threads == 2 ? "start" : "end";
        var outcome = ChildProcess.Fuzz(
            1000UL * (ulong)threads, s_count, Fuzzed.Operations.Keys,
            ("TESSERA_KERNELS", level), ("TESSERA_THREADS", $"{threads}"), (GuardedMemory.Variable, OperatingSystem.IsLinux() ? side : ""));
        output.WriteLine($"{outcome.Cases} cases, {outcome.Summary}");
        Assert.True(outcome.Died is null, outcome.Died);
        Assert.Empty(outcome.Failures);
        Assert.Equal((int)s_count * Fuzzed.Operations.Count, outcome.Cases);
        Assert.StartsWith($"{level}, {threads} threads", outcome.Summary, StringComparison.Ordinal);
    }

    [LevelFact(KernelLevel.Avx512Vnni, atAnyLevel: true)] // what refuses is the memory of assembled kernels
    public void A_system_that_refuses_executable_pages_has_the_next_lower_level_and_says_why()
    {
        var outcome = ChildProcess.Fuzz(0, 2, Fuzzed.Operations.Keys, ("TESSERA_KERNELS", ""), (DeniedPages.Variable, "executable-pages"));
        output.WriteLine(outcome.Summary);
        Assert.True(outcome.Died is null, outcome.Died);
        Assert.Empty(outcome.Failures);
        Assert.StartsWith("vector512, ", outcome.Summary, StringComparison.Ordinal);
        Assert.Contains("the system refuses executable pages: Permission denied", outcome.Summary, StringComparison.Ordinal);
    }

    /// <summary>Processors that lack instructions, of which .NET's settings make one.</summary>
    [Theory]
    [InlineData("DOTNET_EnableAVX512", "vector256")]
    [InlineData("DOTNET_EnableAVX2", "vector128")]
    [InlineData("DOTNET_EnableHWIntrinsic", "")]
    public void Where_dotnet_does_without_instructions_so_do_kernels(string setting, string level)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return;
        var outcome = ChildProcess.Fuzz(0, 2, Fuzzed.Operations.Keys, ("TESSERA_KERNELS", ""), (setting, "0"));
        output.WriteLine(outcome.Summary);
        Assert.True(outcome.Died is null, outcome.Died);
        Assert.Empty(outcome.Failures);
        if (level != "" && Simd.Highest >= KernelLevel.Vector256) Assert.StartsWith($"{level}, ", outcome.Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void As_many_threads_work_as_there_are_processors(int processors)
    {
        var outcome = ChildProcess.Fuzz(0, 2, Fuzzed.Operations.Keys, ("TESSERA_THREADS", ""), ("DOTNET_PROCESSOR_COUNT", $"{processors}"));
        Assert.True(outcome.Died is null, outcome.Died);
        Assert.Empty(outcome.Failures);
        Assert.Contains($", {processors} threads", outcome.Summary, StringComparison.Ordinal);
    }
}
