using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Training;

/// <summary>Writes what became of a model that a run went on from: adapters as PEFT has them, or the whole model as the one it was.</summary>
internal static class FinishedModel
{
    /// <summary>Writes into the run's folder.</summary>
    public static void Save(TrainingSession session)
    {
        var (start, folder) = (session.Start!, session.Folder);
        if (session.Adapters is not { } adapters)
        {
            (start with { Model = session.Model, Config = start.Config with { Model = session.Recipe.Model } }).Save(folder.Path);
            return;
        }

        var baseModel = Path.GetRelativePath(Path.GetFullPath(folder.Path), session.Recipe.Start!);
        PeftAdapter.Save(folder.Path, adapters, session.Recipe.Lora!, session.Model, start.Names, baseModel);
    }
}
