namespace Tessera.Benchmarks;

/// <summary>A corpus that anyone has: pairs of texts about numbers, for measurements of training that are not about quality.</summary>
internal static class NumberPairs
{
    /// <summary>The settings that put it in the place of a recipe's corpus, with a tokenizer to match.</summary>
    public static string[] Settings => ["""data={"kind":"jsonl","train":"pairs.jsonl"}""", "tokenizer.vocabulary=400"];

    /// <summary>Writes <c>pairs.jsonl</c> into a folder.</summary>
    public static void Write(string folder) => File.WriteAllLines(Path.Combine(folder, "pairs.jsonl"), Enumerable.Range(0, 1000).Select(i =>
        $$"""{"source":"number {{i}} of {{i % 17}} and {{i % 29}}","target":"{{i % 29}} {{i % 17}} {{i}}","group":"{{i}}"}"""));
}
