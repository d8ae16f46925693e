using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Precision;

/// <summary>Which precision a run computes in, from its first step to its last: what its recipe left to the machine is
/// decided when it begins and written down in its folder.</summary>
internal static class RunPrecision
{
    /// <summary>The recipe of a run that begins on this machine.</summary>
    public static Recipe Decide(Recipe recipe) => With(recipe, (phase, _) => phase.Precision.Decided());

    /// <summary>The recipe of a run that goes on: what it leaves open is what the run's own recipe says.</summary>
    /// <exception cref="RecipeException">The run computed in numbers that this machine's kernels gain nothing from: it would go on
    /// in others unnoticed.</exception>
    public static Recipe Same(Recipe recipe, Recipe begun)
    {
        return With(recipe, (phase, index) => phase.Precision == PhasePrecision.Auto ? Recorded(index) : phase.Precision);

        PhasePrecision Recorded(int index)
        {
            var recorded = index < begun.Phases.Count ? begun.Phases[index].Precision : PhasePrecision.Auto;
            if (recorded == PhasePrecision.BF16 && PhasePrecisions.Best != recorded)
            {
                throw new RecipeException(
                    $"phases[{index}].precision",
                    $"is auto, which was bf16 where the run began; the kernels here ({Processor.Level}) gain nothing from it; "
                    + $"resume on a machine whose kernels do, or name f32 or bf16 yourself (--set phases[{index}].precision=f32)");
            }

            return recorded.Decided();
        }
    }

    private static Recipe With(Recipe recipe, Func<Phases.Phase, int, PhasePrecision> precision) =>
        recipe with { Phases = [.. recipe.Phases.Select((phase, index) => phase with { Precision = precision(phase, index) })] };
}
