using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Guards;

/// <summary>That leaving a buffer does not go unnoticed. What is watched by it are the runs of <see cref="Levels.LevelTests"/>.</summary>
public class GuardTests(ITestOutputHelper output)
{
    [GuardTheory]
    [MemberData(nameof(PlantedMistake.Mistakes), MemberType = typeof(PlantedMistake))]
    public void A_kernel_that_leaves_its_buffer_by_one_number_dies_and_is_named(string side, string mistake)
    {
        var outcome = ChildProcess.Run(["plant", mistake], (GuardedMemory.Variable, side));
        Assert.NotNull(outcome.Died);
        output.WriteLine(outcome.Died);
        Assert.StartsWith($"{mistake} of F32 [3, 7]: exit code", outcome.Died, StringComparison.Ordinal);
    }

    [GuardTheory]
    [InlineData("read-after")]
    [InlineData("read-before")]
    public void Without_guards_it_goes_unnoticed(string mistake) => Assert.Null(ChildProcess.Run(["plant", mistake]).Died);
}

/// <summary>Runs where pages can be guarded.</summary>
public sealed class GuardTheoryAttribute : TheoryAttribute
{
    public GuardTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "pages are guarded on Linux only";
    }
}
