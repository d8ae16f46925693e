using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.HuggingFace;

/// <summary>Adapters of each kind of weight as PEFT names them, against checkpoints into which they were merged in double precision, matrix
/// by matrix, by PEFT's own equations.</summary>
public sealed class PeftKindsTests : IDisposable
{
    private const string Experts = "fixtures/hf/deepseek-v3", Dense = "fixtures/hf/llama", Tied = "fixtures/hf/llama3-rope-tied-legacy";
    private const double Scale = 1.5;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SharedFact(Experts)]
    public void Adapters_of_experts_up_projections_embeddings_and_head_are_PEFTs_and_compute_what_merged_ones_do()
    {
        var loaded = Adapted(
            Experts, "*.experts.*", "*.kv_b_proj", "embed_tokens", "lm_head", "*.router.gate", "*.shared_experts.down_proj");
        var found = Logits(loaded.Model);
        Assert.NotEqual(Logits(ModelFolder.Load(Fixture.Shared(Experts)!).Model), found);

        // An expert is a linear map of its own for PEFT; of an embedding it has A [r, vocabulary] and B [width, r].
        using (var file = SafetensorsFile.Open(Adapter))
        {
            Assert.Equal((3 * 2) + 2 + 2 + (2 * 2) + (2 * 2) + (2 * 8 * 3 * 2), file.Tensors.Count);
            Assert.Equal([2, 48], file["base_model.model.model.layers.2.mlp.experts.7.up_proj.lora_A.weight"].Shape);
            Assert.Equal([24, 2], file["base_model.model.model.layers.2.mlp.experts.7.up_proj.lora_B.weight"].Shape);
            Assert.Equal([2, 96], file["base_model.model.model.embed_tokens.lora_embedding_A"].Shape);
            Assert.Equal([48, 2], file["base_model.model.model.embed_tokens.lora_embedding_B"].Shape);
            Assert.Equal([96, 2], file["base_model.model.lm_head.lora_B.weight"].Shape);
        }

        // Of the others some modules of the same last name are not adapted.
        string[] whole = ["kv_b_proj", "embed_tokens", "lm_head", "gate"];
        var targets = Config["target_modules"]!.AsArray().Select(name => (string)name!).ToList();
        Assert.Equal(whole.Order(), targets.Where(name => !name.Contains('.', StringComparison.Ordinal)).Order());
        Assert.Contains("model.layers.1.mlp.experts.0.gate_proj", targets);

        Assert.Equal(found, Logits(ModelFolder.Load(_folder.Path).Model));
        MergeBase(Experts, _ => { });
        RequireClose(Logits(ModelFolder.Load(_folder.File("merged")).Model), found);
        loaded.Adapters!.Merge();
        RequireClose(Logits(loaded.Model), found);
        loaded.Save(_folder.File("saved"));
        RequireClose(Logits(ModelFolder.Load(_folder.File("saved")).Model), found);
    }

    [SharedFact(Tied)]
    public void Tied_weights_are_adapted_apart_as_in_PEFT_and_not_merged()
    {
        var loaded = Adapted(Tied, "embed_tokens", "lm_head");
        var found = Logits(loaded.Model);
        Assert.Equal(found, Logits(ModelFolder.Load(_folder.Path).Model));
        MergeBase(Tied, config => config["tie_word_embeddings"] = false);
        RequireClose(Logits(ModelFolder.Load(_folder.File("merged")).Model), found);

        var message = Assert.Throws<InvalidOperationException>(loaded.Adapters!.Merge).Message;
        Assert.Equal(
            "'lm_head' shares its weights with 'embed_tokens', which would change too; adapters of tied weights cannot be merged", message);
        Assert.Equal(found, Logits(loaded.Model));
    }

    [SharedFact(Tied)]
    public void An_adapter_of_a_tied_embedding_alone_leaves_the_head_as_it_is()
    {
        var found = Logits(Adapted(Tied, "embed_tokens").Model);
        MergeBase(Tied, config => config["tie_word_embeddings"] = false, headOfBase: true);
        RequireClose(Logits(ModelFolder.Load(_folder.File("merged")).Model), found);
    }

    [SharedFact(Dense)]
    public void Weights_of_an_embedding_that_come_with_its_adapter_must_be_the_models()
    {
        var found = Logits(Adapted(Dense, "embed_tokens").Model);
        var tensors = Read(Adapter);
        var embedding = Read(Path.Combine(Fixture.Shared(Dense)!, "model.safetensors"))["model.embed_tokens.weight"];
        tensors["base_model.model.model.embed_tokens.base_layer.weight"] = embedding;
        Write(Adapter, tensors);
        Assert.Equal(found, Logits(ModelFolder.Load(_folder.Path).Model));
        embedding.Values[17] += 0.5f;
        Write(Adapter, tensors);
        Assert.Contains("embed_tokens.base_layer.weight' is not as in the base model", Problem(), StringComparison.Ordinal);
    }

    [SharedFact(Experts)]
    public void Experts_that_are_not_adapted_stay_and_adapters_that_do_not_fit_are_told()
    {
        const string First = "base_model.model.model.layers.1.mlp.experts.0.up_proj.lora_A.weight";
        Adapted(Experts, "*.experts.up_proj");
        var tensors = Read(Adapter);
        foreach (var name in tensors.Keys.ToList())
            if (name.Contains("experts.3.", StringComparison.Ordinal)) tensors.Remove(name);
        Write(Adapter, tensors);
        var found = Logits(ModelFolder.Load(_folder.Path).Model);
        MergeBase(Experts, _ => { });
        RequireClose(Logits(ModelFolder.Load(_folder.File("merged")).Model), found);

        var (a, b) = (tensors[First], tensors[First.Replace("lora_A", "lora_B", StringComparison.Ordinal)]);
        tensors[First] = (new Shape(1, 48), a.Values[..48]);
        tensors[First.Replace("lora_A", "lora_B", StringComparison.Ordinal)] = (new Shape(24, 1), b.Values[..24]);
        Write(Adapter, tensors);
        Assert.EndsWith("r is 2; allowed: 1, the rank of the tensors of 'model.layers.1.mlp.experts.0.up_proj'", Problem(), StringComparison.Ordinal);
        var config = Config;
        config["rank_pattern"] = new JsonObject { ["experts.0.up_proj"] = 1 };
        File.WriteAllText(_folder.File(PeftAdapter.ConfigFile), config.ToJsonString());
        Assert.EndsWith(
            "the adapter of 'model.layers.1.mlp.experts.1.up_proj' has rank 2 and factor 1.5; allowed: 1 and 3, "
            + "as 'model.layers.1.mlp.experts.0.up_proj', another part of the same weight",
            Problem(), StringComparison.Ordinal);

        var (down, up) = ((new Shape(2, 48), new float[96]), (new Shape(96, 2), new float[192]));
        Write(Adapter, new() { ["base_model.model.lm_head.lora_embedding_A"] = up, ["base_model.model.lm_head.lora_embedding_B"] = down });
        Assert.EndsWith(
            "adapts 'lm_head', which is no weight of the model that can have such an adapter", Problem(), StringComparison.Ordinal);
        Write(Adapter, new() { ["base_model.model.lm_head.lora_A.weight"] = down });
        Assert.EndsWith(
            "'base_model.model.lm_head.lora_A.weight' stands alone; there is no 'base_model.model.lm_head.lora_B.weight'",
            Problem(), StringComparison.Ordinal);
        Write(Adapter, new() { ["base_model.model.lm_head.lora_A.weight"] = up, ["base_model.model.lm_head.lora_B.weight"] = down });
        Assert.EndsWith(
            "the adapter of 'lm_head' has the shapes [96, 2] and [2, 48]; allowed: [r, 48] and [96, r]",
            Problem(), StringComparison.Ordinal);
    }

    [Fact]
    public void Experts_of_our_own_models_are_adapted_in_one_tensor_each()
    {
        var options = new DecoderOptions
        {
            Width = 8, TieEmbeddings = true,
            Decoder = new TransformerOptions
            {
                Layers = 1, Attention = new Nn.Attention.MultiHeadOptions(2), FeedForward = new ExpertsOptions(3, 2, new ReluOptions(5)),
            },
        };
        var (model, again) = (options.Build(11, seed: 3), options.Build(11, seed: 3));
        var lora = new LoraOptions { Rank = 2, Alpha = 3, Targets = ["*.experts.*", "lm_head"] };
        var adapters = Shaken(LoraAdapters.Attach(model, lora, new CounterRandom(4)));
        PeftAdapter.Save(_folder.Path, adapters, lora, model, TensorNames.Identity(model), "../base");
        using var file = SafetensorsFile.Open(Adapter);
        Assert.Equal([3, 2, 8], file["base_model.model.decoder.layers.0.feed_forward.experts.up_proj.lora_A.weight"].Shape);
        Assert.Equal([3, 8, 2], file["base_model.model.decoder.layers.0.feed_forward.experts.down_proj.lora_B.weight"].Shape);
        PeftAdapter.Load(_folder.Path, again, TensorNames.Identity(again));
        Assert.Equal(Logits(model), Logits(again));
    }

    private string Adapter => _folder.File(PeftAdapter.WeightsFile);

    private JsonObject Config => JsonNode.Parse(File.ReadAllText(_folder.File(PeftAdapter.ConfigFile)))!.AsObject();

    /// <summary>A fixture's model with new adapters, which are saved to the folder, too.</summary>
    private ModelFolder Adapted(string fixture, params string[] targets)
    {
        var source = Fixture.Shared(fixture)!;
        var folder = ModelFolder.Load(source);
        var options = new LoraOptions { Rank = 2, Alpha = 2 * Scale, Targets = targets };
        var adapters = Shaken(LoraAdapters.Attach(folder.Model, options, new CounterRandom(4)));
        PeftAdapter.Save(_folder.Path, adapters, options, folder.Model, folder.Names, source);
        return folder with { Adapters = adapters };
    }

    private static LoraAdapters Shaken(LoraAdapters adapters)
    {
        var random = new CounterRandom(8);
        foreach (var (name, _, adapter) in adapters.All)
        {
            var (up, own) = (adapter.Up.Value, random.Derive(name));
            for (var i = 0; i < up.Floats.Length; i++) up.Floats[i] = 0.3f * (float)own.Normal((ulong)i);
        }

        return adapters;
    }

    /// <summary>Adds each adapter of the folder to its matrix in the fixture's checkpoint: s B A, of an embedding its transpose.</summary>
    private void MergeBase(string fixture, Action<JsonObject> change, bool headOfBase = false)
    {
        var source = Fixture.Shared(fixture)!;
        var (tensors, adapters) = (Read(Path.Combine(source, "model.safetensors")), Read(Adapter));
        var head = tensors.TryGetValue("lm_head.weight", out var own) ? own : tensors["model.embed_tokens.weight"];
        if (headOfBase || adapters.ContainsKey("base_model.model.lm_head.lora_A.weight"))
            tensors["lm_head.weight"] = (head.Shape, [.. head.Values]);
        foreach (var (name, (shape, down)) in adapters)
        {
            if (!name.EndsWith("_A", StringComparison.Ordinal) && !name.EndsWith("_A.weight", StringComparison.Ordinal)) continue;
            var isTable = name.Contains("embedding", StringComparison.Ordinal);
            var up = adapters[name.Replace("_A", "_B", StringComparison.Ordinal)].Values;
            var (rank, inputs) = (shape[0], shape[1]);
            var weight = tensors[name["base_model.model.".Length..name.IndexOf(".lora_", StringComparison.Ordinal)] + ".weight"];
            for (var output = 0; output < up.Length / rank; output++)
            {
                for (var input = 0; input < inputs; input++)
                {
                    var added = Scale * Enumerable.Range(0, rank).Sum(k => (double)up[(output * rank) + k] * down[(k * inputs) + input]);
                    weight.Values[isTable ? (input * (up.Length / rank)) + output : (output * inputs) + input] += (float)added;
                }
            }
        }

        Directory.CreateDirectory(_folder.File("merged"));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        change(config);
        File.WriteAllText(_folder.File("merged/config.json"), config.ToJsonString());
        Write(_folder.File("merged/model.safetensors"), tensors);
    }

    private string Problem() => Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_folder.Path)).Message;

    private static Dictionary<string, (Shape Shape, float[] Values)> Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var tensors = new Dictionary<string, (Shape, float[])>();
        foreach (var (name, tensor) in file.Tensors)
        {
            var values = new float[tensor.Count];
            file.ReadFloats(name, values);
            tensors[name] = (new Shape([.. tensor.Shape.Select(size => (int)size)]), values);
        }

        return tensors;
    }

    private static void Write(string path, Dictionary<string, (Shape Shape, float[] Values)> tensors)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, (shape, values)) in tensors)
        {
            var tensor = Tensor.Allocate(shape);
            values.CopyTo(tensor.Floats);
            writer.Add(name, tensor);
        }

        writer.Save(path);
    }

    private static void RequireClose(float[] expected, float[] found) =>
        Assert.InRange(expected.Zip(found, (x, y) => Math.Abs((double)x - y)).Max(), 0, 2e-5 * Math.Max(1, expected.Max(Math.Abs)));

    private static float[] Logits(SequenceModel model)
    {
        using var scope = Arena.Current.Scope();
        var ids = Tensor.From([.. Enumerable.Range(0, 20).Select(i => (3 + (i * i)) % model.Vocabulary)], [2, 10]);
        var batch = Batch.Of(ids, ids, Batch.PositionsFromStart(2, 10));
        return model.Logits(batch, ForwardContext.At(batch.Positions)).ToArray();
    }
}
