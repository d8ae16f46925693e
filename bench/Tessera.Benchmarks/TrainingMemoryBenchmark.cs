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
            "phases[0].minutes=null", $"phases[0].steps={steps}", "batches.tokens=256", "validation.examples=20", "checkpoints.everySteps=1000000",
        ]);
        var folder = Directory.CreateTempSubdirectory("tessera-memory-");
        try
        {
            var (before, beforeAll) = (0L, 0L);
            Trainer.Run(recipe, folder.FullName, happened =>
            {
                if (happened is Prepared prepared) Console.WriteLine(JsonSerializer.Serialize(prepared));
                if (happened is not StepDone { Step: var step } || step % StepsALine != 0) return;
                var (here, all) = (GC.GetAllocatedBytesForCurrentThread(), GC.GetTotalAllocatedBytes());
                Console.WriteLine(JsonSerializer.Serialize(new
                {
                    step,
                    residentMiB = MiB(Environment.WorkingSet),
                    arenaMiB = MiB(Arena.Current.Capacity),
                    managedHeapMiB = MiB(GC.GetTotalMemory(forceFullCollection: false)),
                    managedBytesAStep = (here - before) / StepsALine,
                    managedBytesAStepAllThreads = (all - beforeAll) / StepsALine,
                    collections = GC.CollectionCount(0),
                }));
                (before, beforeAll) = (GC.GetAllocatedBytesForCurrentThread(), GC.GetTotalAllocatedBytes());
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static double MiB(long bytes) => Math.Round(bytes / 1048576.0, 1);
}
