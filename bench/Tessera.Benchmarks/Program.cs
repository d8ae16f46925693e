using System.Globalization;
using Tessera.Benchmarks;

// Each benchmark prints one JSON line a measurement, so that a peer's lines can be laid beside them.
switch (args)
{
    case ["products"]: ProductBenchmark.Run(); break;
    case ["kill-resume", var program, var recipe, var kills]: return KillResumeBenchmark.Run(program, recipe, int.Parse(kills, CultureInfo.InvariantCulture));
    case ["training-memory", var recipe, var steps]: TrainingMemoryBenchmark.Run(recipe, int.Parse(steps, CultureInfo.InvariantCulture)); break;
    case ["long-run", var recipe, var steps, .. var settings]: return LongRunBenchmark.Run(recipe, int.Parse(steps, CultureInfo.InvariantCulture), settings);
    default:
        Console.Error.WriteLine("""
            usage: Tessera.Benchmarks products
                   Tessera.Benchmarks kill-resume TESSERA.DLL recipes/quickstart.json KILLS
                   Tessera.Benchmarks training-memory recipes/quickstart.json STEPS
                   Tessera.Benchmarks long-run recipes/quickstart.json STEPS [KEY=VALUE ...]
            (TESSERA_THREADS and TESSERA_KERNELS apply)
            """);
        return 2;
}

return 0;
