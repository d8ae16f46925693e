using System.Security.Cryptography;
using System.Text.Json;
using Tessera.Training;

namespace Tessera.Benchmarks;

/// <summary>A month of training in miniature: a recipe's model, made tiny, is trained for very many steps, twice from the same seed.
/// Memory must be flat and both runs must end with the same weights, bit for bit.</summary>
internal static class LongRunBenchmark
{
    /// <summary>Once the first tenth is over, resident memory may grow by so many MiB: code that is compiled again, and pieces of the
    /// heap.</summary>
    private const double GrowthAllowed = 8;

    /// <summary>Runs both; 0 where memory was flat and the weights are the same.</summary>
    /// <param name="recipePath">An encoder-decoder with experts, such as <c>recipes/quickstart.json</c>.</param>
    /// <param name="steps">Steps of each run.</param>
    /// <param name="settings">Further settings of the recipe, as <c>--set</c> takes them.</param>
    public static int Run(string recipePath, int steps, string[] settings)
    {
        var recipe = Recipe.Load(recipePath,
            [
            .. NumberPairs.Settings, "model.width=32", "model.encoder.hidden=16", "model.encoder.layers=1", "model.decoder.layers=1",
                "model.decoder.attention.heads=2",
                "model.decoder.dropout=0.1",
                "model.decoder.feedForward.expert.hidden=24",
                "batches.tokens=96",
            "phases[0].minutes=null", $"phases[0].steps={steps}", "validation.everySteps=1000", "validation.examples=20",
            "checkpoints.everySteps=5000", .. settings,
            ]);
        var folder = Directory.CreateTempSubdirectory("tessera-long-");
        try
        {
            NumberPairs.Write(folder.FullName);
            var (first, second) = (Train(recipe, folder.FullName, "first", steps), Train(recipe, folder.FullName, "second", steps));
            var growth = Math.Max(first.Growth, second.Growth);
            Print(new { steps, same = first.Hash == second.Hash, first = first.Hash, second = second.Hash, growthMiB = growth });
            return first.Hash == second.Hash && growth <= GrowthAllowed ? 0 : 1;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static (string Hash, double Growth) Train(Recipe recipe, string folder, string run, int steps)
    {
        Print(new { run });
        var resident = TrainingMemoryBenchmark.Train(recipe, Path.Combine(folder, run), folder, Math.Max(1, steps / 20), collect: true);
        var weights = File.ReadAllBytes(Path.Combine(folder, run, "model.safetensors"));
        return (Convert.ToHexStringLower(SHA256.HashData(weights)), Math.Round(resident[^1] - resident.Skip(2).Min(), 1));
    }

    private static void Print(object line) => Console.WriteLine(JsonSerializer.Serialize(line));
}
