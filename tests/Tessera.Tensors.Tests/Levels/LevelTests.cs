using Tessera.Tensors.Kernels;
using Tessera.Tensors.Tests.Fuzz;
using Tessera.Tensors.Tests.Guards;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>
/// Every operation at every level the machine has, on one, two and three threads, between guard pages: the fuzzed cases in a
/// process for each. <c>TESSERA_TEST_CASES</c> sets how many of each operation (bench/all-levels.sh: many, and the other
/// tests of operations as well).
/// </summary>
public class LevelTests(ITestOutputHelper output)
{
    private static readonly ulong s_count = ulong.TryParse(Environment.GetEnvironmentVariable("TESSERA_TEST_CASES"), out var count) ? count : 12;

    [Theory]
    [LevelData(KernelLevel.Scalar)]
    [LevelData(KernelLevel.Vector128)]
    [LevelData(KernelLevel.Vector256)]
    [LevelData(KernelLevel.Vector512)]
    [LevelData(KernelLevel.Avx512Vnni)]
    [LevelData(KernelLevel.Avx512Bf16)]
    [LevelData(KernelLevel.Amx)]
    public void Every_operation_agrees_with_its_equation_and_stays_within_its_buffers(KernelLevel level, int threads)
    {
        var side = threads == 2 ? "start" : "end";
        var outcome = ChildProcess.Fuzz(
            1000UL * (ulong)threads, s_count, Fuzzed.Operations.Keys,
            ("TESSERA_KERNELS", level.Name()), ("TESSERA_THREADS", $"{threads}"), (GuardedMemory.Variable, OperatingSystem.IsLinux() ? side : ""));
        output.WriteLine($"{outcome.Cases} cases, {outcome.Summary}");
        Assert.True(outcome.Died is null, outcome.Died);
        Assert.Empty(outcome.Failures);
        Assert.Equal((int)s_count * Fuzzed.Operations.Count, outcome.Cases);
        Assert.StartsWith($"{level.Name()}, {threads} threads", outcome.Summary, StringComparison.Ordinal);
    }
}
