using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Training;

/// <summary>Writes what became of a model that a run went on from: adapters as PEFT has them, or the whole model as the one it
/// was.</summary>
internal static class FinishedModel
{
    /// <summary>Writes into the run's folder.</summary>
    public static void Save(RunPlan plan, RunFolder folder)
    {
        var start = plan.Start!;
        if (plan.Adapters is not { } adapters)
        {
            (start with { Model = plan.Model, Config = start.Config with { Model = plan.Recipe.Model } }).Save(folder.Path);
            return;
        }

        var baseModel = Path.GetRelativePath(Path.GetFullPath(folder.Path), plan.Recipe.Start!);
        PeftAdapter.Save(folder.Path, adapters, plan.Recipe.Lora!, plan.Model, start.NamesOf(adapters), baseModel);
    }
}
