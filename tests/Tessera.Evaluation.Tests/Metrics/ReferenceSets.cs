using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Evaluation.Tests.Metrics;

/// <summary>The texts and the numbers that <c>tests/Fixtures/make_metrics.py</c> recorded of the tools that define each measure.</summary>
internal static class ReferenceSets
{
    public static JsonElement Read(string file)
    {
        using var stream = File.OpenRead(Fixture.Local(Path.Combine("metrics", file)));
        return JsonDocument.Parse(stream).RootElement;
    }

    public static (string[] Hypotheses, string[][] References) Texts(JsonElement sets, string name) =>
        (Strings(sets.GetProperty(name).GetProperty("hypotheses")),
         [.. sets.GetProperty(name).GetProperty("references").EnumerateArray().Select(Strings)]);

    public static string[] Strings(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetString()!)];

    public static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetDouble())];
}
