using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Phases;

/// <summary>A phase of a run with all that its recipe leaves to defaults.</summary>
/// <param name="Path">Its place in the recipe, such as <c>phases[0]</c>.</param>
/// <param name="Phase">The phase.</param>
/// <param name="Objective">What it learns.</param>
/// <param name="Length">How long targets are.</param>
/// <param name="SourceLength">How long sources are.</param>
public sealed record PhasePlan(string Path, Phase Phase, ObjectiveOptions Objective, LengthSchedule Length, LengthSchedule SourceLength)
{
    /// <summary>The place in the recipe that says how long targets are.</summary>
    internal string LengthPath => Phase.Length is null ? "batches.length" : $"{Path}.length";

    /// <summary>The place in the recipe that says how long sources are.</summary>
    internal string SourceLengthPath => Phase.SourceLength is null ? "batches.sourceLength" : $"{Path}.sourceLength";
}
