using Tessera.Models.Recipes;
using Tessera.Tensors;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>With what a stretch of a run was computed; <c>machine.json</c> of its folder lists the stretches. Only where all of
/// it stays as it was does a resumed run reach the bits of an undisturbed one.</summary>
/// <param name="FromStep">The steps done before the stretch.</param>
/// <param name="Kernels">The kernels' level.</param>
/// <param name="Threads">The threads of the kernels.</param>
/// <param name="Precision">In which numbers each phase is to compute its products.</param>
/// <param name="ComputedIn">In which numbers the kernels compute them; as asked for where null.</param>
internal sealed record RunMachine(
    long FromStep, string Kernels, int Threads, IReadOnlyList<string> Precision, IReadOnlyList<string>? ComputedIn = null)
{
    /// <summary>This machine.</summary>
    /// <param name="recipe">What is computed.</param>
    /// <param name="step">The steps done already.</param>
    public static RunMachine Here(Recipe recipe, long step) =>
        new(
            step, Processor.Level, Processor.Threads, [.. recipe.Phases.Select(phase => phase.Precision.Name())],
            [.. recipe.Phases.Select(phase => phase.Precision.ComputedIn().Name())]);

    /// <summary>Writes this stretch below those before it, of which steps from here on are done again.</summary>
    /// <returns>The last stretch before, where it was computed otherwise; else null.</returns>
    public RunMachine? WriteDown(RunFolder folder)
    {
        List<RunMachine> before = File.Exists(folder.Machine)
            ? [.. RecipeJson.ReadFile<Stretches>(folder.Machine).Computed.Where(stretch => stretch.FromStep < FromStep)]
            : [];
        var last = before.LastOrDefault();
        if (last is not null && last.Describe() == Describe()) return null;
        RunFolder.Write(folder.Machine, RecipeJson.Write(new Stretches([.. before, this])) + "\n");
        return last;
    }

    /// <summary>All but the step, in words.</summary>
    public string Describe() =>
        $"{Kernels} kernels, {Threads} {(Threads == 1 ? "thread" : "threads")}, "
        + $"products in {PhasePrecisions.Describe(Precision, ComputedIn ?? Precision)}";

    private sealed record Stretches(IReadOnlyList<RunMachine> Computed);
}
