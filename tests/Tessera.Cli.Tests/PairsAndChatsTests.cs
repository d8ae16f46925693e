using System.Text.Json;

namespace Tessera.Cli.Tests;

/// <summary>Decoders that learned pairs and conversations, used as people do.</summary>
public sealed class PairsAndChatsTests : IDisposable
{
    private static readonly string[] s_colours =
    [
        "red", "green", "blue", "black", "white", "grey", "brown", "pink", "gold", "teal", "lime", "navy", "plum", "rose", "sand", "jade",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-cli").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_decoder_that_learned_pairs_answers_a_source()
    {
        WriteLines((source, target, index) => new { source, target, group = $"g{index}" });
        Train("""{ "kind": "jsonl", "train": "lines.jsonl" }""", "\"embeddingScale\": 1,");
        Assert.Equal("""{ "separator": "\n" }""", string.Join(' ', File.ReadAllText(In("run/prompt.json")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
        AssertAnswers("generate", "run");
        // As a Hugging Face folder it answers, too.
        Assert.Equal(0, Tessera("convert", "run", "hf").Code);
        AssertAnswers("generate", "hf");
    }

    [Fact]
    public void A_decoder_that_learned_conversations_answers_in_one()
    {
        WriteLines((source, target, _) => new
        {
            messages = new[] { new { role = "user", content = source }, new { role = "assistant", content = target } },
        });
        Train("""{ "kind": "chat", "train": "lines.jsonl" }""");
        AssertAnswers("generate", "run", "--chat");
    }

    private void AssertAnswers(params string[] command)
    {
        var outcome = Tessera([.. command, "number 3 tag 77", "number 11 tag 5", "--json"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Equal(["black", "navy"], outcome.Lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()));
    }

    private void WriteLines(Func<string, string, int, object> line)
    {
        var random = new Random(1);
        File.WriteAllLines(In("lines.jsonl"), Enumerable.Range(0, 1000).Select(index =>
        {
            var number = random.Next(s_colours.Length);
            return JsonSerializer.Serialize(line($"number {number} tag {index % 500}", s_colours[number], index));
        }));
    }

    private void Train(string data, string option = "")
    {
        File.WriteAllText(In("recipe.json"), $$"""
            {
              "name": "colours", "seed": 42, "tokenizer": { "vocabulary": 400 },
              "model": {
                "kind": "decoder", "width": 64, "tieEmbeddings": true, {{option}}
                "decoder": {
                  "layers": 2, "attention": { "kind": "multi-head", "heads": 4, "position": { "kind": "rotary" } },
                  "feedForward": { "kind": "swiglu", "hidden": 128 }
                }
              },
              "data": {{data}}, "batches": { "tokens": 1024, "length": 64 },
              "phases": [{ "steps": 200, "learningRate": 0.003, "schedule": { "kind": "cosine", "warmupSteps": 20 } }],
              "validation": { "everySteps": 100 }
            }
            """);
        var training = Tessera("train", "recipe.json", "--out", "run");
        Assert.Equal((0, ""), (training.Code, training.Error));
    }

    private string In(string name) => Path.Combine(_folder, name);

    private Outcome Tessera(params string[] arguments) => TesseraProcess.Run(_folder, arguments);
}
