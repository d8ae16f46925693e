using System.Text.Json;
using Tessera.Generation.Search;
using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Testing;

namespace Tessera.Generation.Tests;

/// <summary>What Hugging Face's transformers generates from checkpoints of four families.</summary>
public sealed class PublishedModelTests
{
    private const string Cases = "fixtures/generation";

    [SharedFact(Cases)]
    public void Beam_search_finds_the_five_sequences_and_scores_of_transformers()
    {
        var folders = Folders("beam-*");
        Assert.Equal(24, folders.Length);
        foreach (var folder in folders)
        {
            using var json = Case(folder);
            var (settings, prompt, expected) = (json.RootElement, Ints(folder, "prompt"), Ints(folder, "sequences"));
            var (end, max) = (settings.GetProperty("eos").GetInt32(), settings.GetProperty("max_new_tokens").GetInt32());
            var options = new BeamOptions(
                settings.GetProperty("beams").GetInt32(), settings.GetProperty("length_penalty").GetSingle(),
                settings.GetProperty("early_stopping").GetBoolean());
            var found = new BeamSearch(Model(settings), options, max, [end]).Run([prompt], default)[0];
            var (lengths, scores) = (Ints(folder, "lengths"), Floats(folder, "scores"));
            Assert.Equal(lengths.Length, found.Count);
            var longest = expected.Length / found.Count;
            for (var rank = 0; rank < found.Count; rank++)
            {
                var ids = found[rank].FinishReason == FinishReason.StopToken ? [.. found[rank].Ids, end] : found[rank].Ids;
                Assert.True(
                    expected.AsSpan(rank * longest, lengths[rank]).SequenceEqual([.. ids]),
                    $"{Path.GetFileName(folder)}, rank {rank}: {string.Join(' ', ids)}");
                Assert.Equal(scores[rank], found[rank].Score, 1e-4 * Math.Max(1, Math.Abs(scores[rank])));
            }
        }
    }

    [SharedFact(Cases)]
    public void Greedy_decoding_under_penalties_writes_the_tokens_of_transformers()
    {
        var folders = Folders("greedy-*");
        Assert.Equal(8, folders.Length);
        var changed = 0;
        foreach (var folder in folders)
        {
            using var json = Case(folder);
            var settings = json.RootElement;
            var options = new GreedyOptions
            {
                RepetitionPenalty = settings.TryGetProperty("repetition_penalty", out var penalty) ? penalty.GetSingle() : 1,
                NoRepeatNgramSize = settings.TryGetProperty("no_repeat_ngram_size", out var size) ? size.GetInt32() : 0,
            };
            var (prompt, expected) = (Ints(folder, "prompt"), Ints(folder, "tokens"));
            var model = Model(settings);
            Assert.Equal(expected, Generator.Generate(model, [prompt], options, expected.Length, stopTokens: [])[0].Ids);
            Assert.Equal(expected, Generator.Stream(model, prompt, options, expected.Length, stopTokens: []));
            var free = Generator.Generate(model, [prompt], new GreedyOptions(), expected.Length, stopTokens: [])[0].Ids;
            if (!free.SequenceEqual(expected)) changed++;
        }

        Assert.InRange(changed, 4, 8); // where nothing would be repeated anyway, penalties change nothing
    }

    private static string[] Folders(string pattern) =>
        [.. Directory.GetDirectories(Fixture.Shared(Cases)!, pattern).Order(StringComparer.Ordinal)];

    private static JsonDocument Case(string folder) => JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "case.json")));

    private static SequenceModel Model(JsonElement settings) =>
        ModelFolder.Load(Fixture.Shared($"fixtures/hf/{Path.GetFileName(settings.GetProperty("model").GetString())}")!).Model;

    private static int[] Ints(string folder, string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, "expected.safetensors"));
        var bytes = new byte[file[name].ByteCount];
        file.ReadBytes(name, bytes);
        return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(bytes).ToArray();
    }

    private static float[] Floats(string folder, string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, "expected.safetensors"));
        var floats = new float[file[name].Count];
        file.ReadFloats(name, floats);
        return floats;
    }
}
