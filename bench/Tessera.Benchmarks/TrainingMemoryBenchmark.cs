using System.Text.Json;
using Tessera.Tensors;
using Tessera.Training;

namespace Tessera.Benchmarks;

/// <summary>Memory over many training steps of the quickstart's model on small batches, evaluations included.</summary>
internal static class TrainingMemoryBenchmark
{
    private const int StepsALine = 100;

    public static void Run(string recipePath, int steps)
    {
        var recipe = Recipe.Load(recipePath,
            [
                "phases[0].minutes=null",
                $"phases[0].steps={steps}",
                "batches.tokens=256",
                "validation.examples=20",
                "checkpoints.everySteps=1000000",
            ]);
        var folder = Directory.CreateTempSubdirectory("tessera-memory-");
        try
        {
            Train(recipe, folder.FullName, ".", StepsALine, collect: false);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Trains, printing a line every so many steps.</summary>
    /// <param name="collect">Whether garbage is collected before each, so that what grows is what is kept.</param>
    /// <returns>The resident memory at each line, in MiB.</returns>
    public static List<double> Train(Recipe recipe, string folder, string recipeFolder, int stepsALine, bool collect)
    {
        var resident = new List<double>();
        var (before, beforeAll) = (0L, 0L);
        Trainer.Run(recipe, folder, happened =>
        {
            if (happened is Prepared prepared) Console.WriteLine(JsonSerializer.Serialize(prepared));
            if (happened is not StepDone { Step: var step, Loss: var loss } || step % stepsALine != 0) return;
            var (here, all) = (GC.GetAllocatedBytesForCurrentThread(), GC.GetTotalAllocatedBytes());
            var heap = GC.GetTotalMemory(forceFullCollection: collect);
            resident.Add(MiB(Environment.WorkingSet));
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                step,
                loss,
                residentMiB = resident[^1],
                arenaMiB = MiB(Arena.Current.Capacity),
                managedHeapMiB = MiB(heap),
                managedBytesAStep = (here - before) / stepsALine,
                managedBytesAStepAllThreads = (all - beforeAll) / stepsALine,
                collections = GC.CollectionCount(0),
            }));
            (before, beforeAll) = (GC.GetAllocatedBytesForCurrentThread(), GC.GetTotalAllocatedBytes());
        }, recipeFolder);
        return resident;
    }

    private static double MiB(long bytes) => Math.Round(bytes / 1048576.0, 1);
}
