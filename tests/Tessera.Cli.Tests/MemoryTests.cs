using System.Buffers.Binary;
using System.Text;

namespace Tessera.Cli.Tests;

/// <summary>Models that no machine has the memory for.</summary>
public sealed class MemoryTests : IDisposable
{
    private const int Layers = 256, Width = 16384, Hidden = 65536, Vocabulary = 8;

    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-memory").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_training_run_that_cannot_be_is_refused_before_anything_is_made()
    {
        File.WriteAllText(Path.Combine(_folder, "text.txt"), string.Concat(Enumerable.Range(0, 200).Select(line => $"line {line} of a text\n")));
        File.WriteAllText(Path.Combine(_folder, "huge.json"), """
            {
              "name": "huge", "tokenizer": { "vocabulary": 300 },
              "model": { "kind": "decoder", "width": 16384, "decoder": { "layers": 200, "attention": { "kind": "multi-head", "heads": 64 }, "feedForward": { "kind": "swiglu", "hidden": 24576 } } },
              "data": { "kind": "text", "path": "text.txt" }, "batches": { "tokens": 64, "length": 32 }, "phases": [{ "steps": 2 }]
            }
            """);
        Refused("the weights, their gradients and the optimizer's moments need ", "train", "huge.json");
        Assert.False(Directory.Exists(Path.Combine(_folder, "runs")));
    }

    [Fact]
    public void A_model_larger_than_memory_is_refused_before_it_is_read()
    {
        WriteModel(Path.Combine(_folder, "huge"));
        Refused("the model's weights need ", "generate", "huge", "text");
        var inspected = TesseraProcess.Run(_folder, ["inspect", "huge"]);
        Assert.Equal((0, ""), (inspected.Code, inspected.Error));
    }

    private void Refused(string beginning, params string[] arguments)
    {
        var outcome = TesseraProcess.Run(_folder, arguments);
        Assert.Equal((2, ""), (outcome.Code, outcome.Output));
        Assert.StartsWith($"tessera: {beginning}", outcome.Error, StringComparison.Ordinal);
        Assert.EndsWith("; --force tries it all the same\n", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
    }

    /// <summary>A Llama of terabytes that has no bytes on the disk but its header.</summary>
    private static void WriteModel(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {
              "model_type": "llama", "vocab_size": {{Vocabulary}}, "hidden_size": {{Width}}, "num_hidden_layers": {{Layers}},
              "num_attention_heads": 128, "intermediate_size": {{Hidden}}, "tie_word_embeddings": true
            }
            """);
        var (header, end) = (new StringBuilder("{"), 0L);
        Add("model.embed_tokens.weight", Vocabulary, Width);
        Add("model.norm.weight", Width);
        for (var layer = 0; layer < Layers; layer++)
        {
            foreach (var map in (string[])["q", "k", "v", "o"]) Add($"model.layers.{layer}.self_attn.{map}_proj.weight", Width, Width);
            foreach (var norm in (string[])["input_layernorm", "post_attention_layernorm"]) Add($"model.layers.{layer}.{norm}.weight", Width);
            foreach (var map in (string[])["gate", "up"]) Add($"model.layers.{layer}.mlp.{map}_proj.weight", Hidden, Width);
            Add($"model.layers.{layer}.mlp.down_proj.weight", Width, Hidden);
        }

        header.Length--;
        var json = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        var count = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(count, json.Length);
        using var file = File.Create(Path.Combine(folder, "model.safetensors"));
        file.Write(count);
        file.Write(json);
        file.SetLength(8 + json.Length + end);

        void Add(string name, params int[] shape)
        {
            var bytes = shape.Aggregate(2L, (product, size) => product * size);
            header.Append(System.Globalization.CultureInfo.InvariantCulture,
                $"\"{name}\":{{\"dtype\":\"BF16\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{end},{end + bytes}]}},");
            end += bytes;
        }
    }
}
