using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Tests.Formats;
using Tessera.Models.Verification;
using Tessera.Testing;

namespace Tessera.Models.Tests.Verification;

public sealed class ModelVerificationTests
{
    private const string Published = "fixtures/hf";

    public static TheoryData<string> Cases { get; } =
    [.. Directory.GetDirectories(Fixture.Local("families")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    /// <summary>Against float64 transcriptions of the equations, in Fixtures/families/make_families.py and beside it.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Seldom_options_compute_what_their_equations_say(string name)
    {
        var found = ModelVerification.Run(Fixture.Local($"families/{name}"));
        Assert.True(found.Passes(2e-5, 2e-5), found.ToString());
        Assert.NotNull(found.Logits);
        Assert.NotNull(found.LongLogits);
        Assert.NotNull(found.Cached);
        Assert.Equal(12, found.GreedyEqual);
    }

    [SharedFact(Published)]
    public void Every_family_computes_what_transformers_does()
    {
        var folders = Directory
            .GetDirectories(Fixture.Shared(Published)!)
            .Where(folder => !folder.EndsWith("-lora", StringComparison.Ordinal))
            .ToArray();
        Assert.True(folders.Length >= 12);
        foreach (var folder in folders)
        {
            var found = ModelVerification.Run(folder);
            Assert.True(found.Passes(5e-5, 1e-4), found.ToString());
            Assert.NotNull(found.Cached);
        }

        // Families whose recordings are transcriptions stand beside the tests.
        var names = folders
            .Concat(Directory.GetDirectories(Fixture.Local("families")))
            .Select(folder => Family.Of(HuggingFaceConfig.Load(Path.Combine(folder, "config.json"))).Name).Distinct();
        Assert.Equal(Family.All.Select(family => family.Name).Order(StringComparer.Ordinal), names.Order(StringComparer.Ordinal));
    }

    [SharedFact(Published)]
    public void Layers_that_predict_later_tokens_are_loaded_only_where_they_are()
    {
        Assert.Equal(2, Later("deepseek-v3-mtp"));
        Assert.Equal(0, Later("deepseek-v3")); // its config.json announces one

        static int Later(string name) =>
            ((DecoderOptions)ModelFolder.Load(Path.Combine(Fixture.Shared(Published)!, name)).Config.Model).MtpDepth;
    }

    [Fact]
    public void A_changed_weight_is_noticed()
    {
        using var folder = Copy("llama-biases-linear");
        Rewrite(folder, (name, floats) =>
        {
            if (name == "model.norm.weight") floats[3] *= 1.01f;
        });
        var found = ModelVerification.Run(folder.Path);
        Assert.False(found.Passes(5e-5, 1e-4));
        Assert.InRange(found.Logits!.Value, 1e-4, 1);
    }

    [Fact]
    public void What_is_not_a_number_differs()
    {
        using var folder = Copy("qwen3-layer-types");
        Rewrite(folder, (name, floats) =>
        {
            if (name == "lm_head.weight") floats[0] = float.NaN;
        });
        Assert.Equal(double.PositiveInfinity, ModelVerification.Run(folder.Path).Logits);
    }

    [Fact]
    public void Missing_and_unexpected_tensors_are_named()
    {
        using var folder = Copy("qwen3-layer-types");
        Configure(folder, config => config["num_hidden_layers"] = 3, config => config.Remove("layer_types"));
        Complains(folder, "missing", "model.layers.2.input_layernorm.weight");
        Configure(folder, config => config["num_hidden_layers"] = 1);
        Complains(folder, "unexpected", "model.layers.1.");
        Configure(folder, config => config["num_hidden_layers"] = 2, config => config["intermediate_size"] = 11);
        Complains(folder, "model.layers.0.mlp.gate_proj.weight", "[12, 8]", "[11, 8]");
    }

    [Fact]
    public void Folders_that_cannot_be_verified_say_why()
    {
        using var folder = Copy("llama-dynamic");
        File.Delete(folder.File("expected.safetensors"));
        Complains(folder, "there is no expected.safetensors");
        Configure(folder, config => config["model_type"] = "mamba");
        Complains(
            folder,
            "config.json: model_type is mamba: no family here reads it, though there are parts for what it shows: attention of heads, ",
            "; allowed: gpt2, llama, mistral, qwen2, qwen3, mixtral, qwen3_moe, "
        );
        Configure(folder, config => config["model_type"] = "llama", config => config["num_attention_heads"] = 3);
        Complains(folder, "config.json: ", "keyValueHeads");
        File.Delete(folder.File("model.safetensors"));
        Assert.ThrowsAny<IOException>(() => ModelVerification.Run(folder.Path));
        File.WriteAllText(folder.File("adapter_config.json"), "{}");
        Complains(folder, "adapter");
    }

    [Fact]
    public void Recorded_tokens_that_the_model_lacks_are_named()
    {
        using var folder = Copy("llama-dynamic");
        var writer = new SafetensorsWriter();
        writer.Add("batch.input_ids", Tensors.Tensor.From([1, 99], [1, 2]));
        writer.Save(folder.File("expected.safetensors"));
        Complains(folder, "'batch.input_ids' has the token 99; allowed: 0 to 15");
        writer = new SafetensorsWriter();
        writer.Add("padded.input_ids", Tensors.Tensor.From([1, 2], [1, 2]));
        writer.Add("padded.mask", Tensors.Tensor.From([1, 5], [1, 2]));
        writer.Add("padded.logits", Tensors.Tensor.From(new float[32], [1, 2, 16]));
        writer.Save(folder.File("expected.safetensors"));
        Complains(folder, "'padded.mask' must hold 0 or 1");
    }

    [Fact]
    public void What_cannot_be_compared_is_an_error_that_names_it()
    {
        using var folder = Copy("llama-dynamic");
        Record(folder, ("batch.logit", Tensors.Tensor.From([0f], [1])));
        Complains(folder, "expected.safetensors: cannot be compared", "batch.logit");
        Record(folder, ("batch.input_ids", Tensors.Tensor.From([1, 2], [1, 2])));
        Complains(folder, "expected.safetensors: holds no outputs");
        Record(
            folder, ("batch.input_ids", Tensors.Tensor.From([1, 2], [1, 2])),
            ("batch.logits", Tensors.Tensor.From(new float[32], [1, 2, 16])), ("mtp.1.loss", Tensors.Tensor.From([0f], [1])));
        Complains(folder, "cannot be compared", "mtp.1.loss");
        Assert.False(new VerificationResult("", "").Passes(1, 1));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    public void A_padded_row_has_tokens_and_they_are_at_its_end(int first, int last)
    {
        using var folder = Copy("llama-dynamic");
        Record(
            folder,
            ("padded.input_ids", Tensors.Tensor.From([1, 2, 3, 4], [2, 2])),
            ("padded.mask", Tensors.Tensor.From([0, 1, first, last], [2, 2])),
            ("padded.logits", Tensors.Tensor.From(new float[64], [2, 2, 16])));
        Complains(folder, "'padded.mask' must hold 0 or 1", "at its end");
    }

    [Fact]
    public void A_recorded_tie_is_one_only_where_the_model_has_it_too()
    {
        using var folder = Copy("llama-dynamic");
        using var recorded = RecordedOutputs.Open(Fixture.Local("families/llama-dynamic"));
        var (prompt, tokens) = (recorded.Rows("greedy.prompt")[0], recorded.Rows("greedy.tokens")[0]);
        tokens[^1] = (tokens[^1] + 1) % 16;
        Greedy(new float[tokens.Length]);
        var found = ModelVerification.Run(folder.Path);
        Assert.Equal((12, 11), (found.GreedyTokens, found.GreedyEqual));
        Assert.False(found.Passes(1, 1));
        Greedy([.. new float[tokens.Length - 1], float.NaN]);
        Complains(folder, "'greedy.margin' must hold numbers of at least 0");

        void Greedy(float[] margins) => Record(
                folder, ("greedy.prompt", Tensors.Tensor.From(prompt, [prompt.Length])),
                ("greedy.tokens", Tensors.Tensor.From(tokens, [tokens.Length])),
                ("greedy.margin", Tensors.Tensor.From(margins, [margins.Length])));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_recorded_gradient_that_is_no_finite_number_differs(float number)
    {
        using var folder = Copy("qwen3-layer-types");
        Record(
            folder, ("batch.input_ids", Tensors.Tensor.From([1, 2, 3], [1, 3])), ("batch.loss", Tensors.Tensor.From([3f], [1])),
            ("grad.model.norm.weight", Tensors.Tensor.From([number, 0, 0, 0, 0, 0, 0, 0], [8])));
        var found = ModelVerification.Run(folder.Path);
        Assert.Equal(double.PositiveInfinity, found.Gradients);
        Assert.False(found.Passes(100, 100));
    }

    [Fact]
    public void Tokens_beyond_the_models_positions_are_an_error_of_the_recording()
    {
        using var folder = Copy("gpt2-untied");
        var positions = ModelFolder.Load(folder.Path).Model.LongestSequence;
        Record(
            folder, ("long.input_ids", Tensors.Tensor.From(new int[positions + 1], [1, positions + 1])),
            ("long.logits", Tensors.Tensor.From(new float[(positions + 1) * 16], [1, positions + 1, 16])));
        Complains(folder, $"'long.input_ids' ends at position {positions + 1}, the model has {positions}");
    }

    [SharedFact("fixtures/hf/deepseek-v3-mtp")]
    public void Losses_of_later_tokens_come_with_that_of_the_first()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.GetFiles(Fixture.Shared("fixtures/hf/deepseek-v3-mtp")!))
            File.Copy(file, folder.File(Path.GetFileName(file)));
        Record(
            folder, ("batch.input_ids", Tensors.Tensor.From([1, 2, 3, 4], [1, 4])), ("batch.loss", Tensors.Tensor.From([3f], [1])),
            ("main.loss", Tensors.Tensor.From([3f], [1])));
        Complains(folder, "main.loss was recorded without mtp.0.loss");
    }

    [Fact]
    public void Weights_written_by_a_familys_names_are_the_checkpoint_again()
    {
        foreach (
            var folder in Directory
                .GetDirectories(Fixture.Local("families"))
                .Where(folder => !folder.Contains("gpt2", StringComparison.Ordinal)))
        {
            var loaded = ModelFolder.Load(folder);
            using var file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
            var names = loaded.Family!.Names((DecoderOptions)loaded.Config.Model);
            var outgoing = Weights.Outgoing(loaded.Model, names);
            Assert.Equal(
                file.Tensors.Keys.Where(name => !names.IsIgnored(name)).Order(StringComparer.Ordinal),
                outgoing.Select(tensor => names.Find(file, tensor.Name)).Order(StringComparer.Ordinal));
        }
    }

    private static void Complains(TemporaryFolder folder, params string[] parts)
    {
        var error = Assert.ThrowsAny<Exception>(() => ModelVerification.Run(folder.Path));
        Assert.True(error is InvalidDataException or FileNotFoundException, error.ToString());
        Assert.All(parts, part => Assert.True(error.Message.Contains(part, StringComparison.Ordinal), error.Message));
    }

    private static void Record(TemporaryFolder folder, params (string Name, Tensors.Tensor Tensor)[] tensors)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, tensor) in tensors) writer.Add(name, tensor);
        writer.Save(folder.File("expected.safetensors"));
    }

    private static TemporaryFolder Copy(string name)
    {
        var folder = new TemporaryFolder();
        foreach (var file in Directory.GetFiles(Fixture.Local($"families/{name}"))) File.Copy(file, folder.File(Path.GetFileName(file)));
        return folder;
    }

    private static void Configure(TemporaryFolder folder, params Action<JsonObject>[] changes)
    {
        var config = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        foreach (var change in changes) change(config);
        File.WriteAllText(folder.File("config.json"), config.ToJsonString());
    }

    private static void Rewrite(TemporaryFolder folder, Action<string, float[]> change)
    {
        var writer = new SafetensorsWriter();
        using (var file = SafetensorsFile.Open(folder.File("model.safetensors")))
        {
            foreach (var (name, stored) in file.Tensors)
            {
                var floats = new float[stored.Count];
                file.ReadFloats(name, floats);
                change(name, floats);
                writer.Add(name, Tensors.Tensor.From(floats, new Tensors.Shape([.. stored.Shape.Select(size => (int)size)])));
            }
        }

        writer.Save(folder.File("model.safetensors"));
    }
}
