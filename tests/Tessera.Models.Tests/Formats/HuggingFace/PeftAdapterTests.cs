using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Verification;
using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.HuggingFace;

public sealed class PeftAdapterTests : IDisposable
{
    private const string Case = "fixtures/hf/llama-lora";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SharedFact(Case)]
    public void An_adapter_that_PEFT_saved_gives_its_logits_and_gradients()
    {
        var result = ModelVerification.Run(Fixture.Shared(Case)!);
        Assert.InRange(result.Logits!.Value, 0, 5e-5);
        Assert.InRange(result.Loss!.Value, 0, 5e-5);
        Assert.InRange(result.Gradients!.Value, 0, 1e-4);
        Assert.Contains(".lora_", result.WorstGradient, StringComparison.Ordinal);
    }

    [SharedFact(Case)]
    public void Merged_it_gives_the_same_logits_also_when_saved_and_loaded()
    {
        var folder = ModelFolder.Load(Fixture.Shared(Case)!);
        var apart = Logits(folder.Model);
        folder.Adapters!.Merge();
        var rounding = 1e-5 * Math.Max(1, apart.Max(Math.Abs));
        Assert.InRange(Largest(apart, Logits(folder.Model)), 0, rounding);
        folder.Save(_folder.File("merged"));
        var loaded = ModelFolder.Load(_folder.File("merged"));
        Assert.Null(loaded.Adapters);
        Assert.InRange(Largest(apart, Logits(loaded.Model)), 0, rounding);
    }

    [SharedFact(Case)]
    public void What_is_saved_has_the_files_that_PEFT_saved()
    {
        var source = Fixture.Shared(Case)!;
        var folder = ModelFolder.Load(source);
        PeftAdapter.Save(_folder.Path, folder.Adapters!, new LoraOptions { Rank = 4, Alpha = 10 }, folder.Model, folder.Names, PeftAdapter.BaseOf(source));
        using var theirs = SafetensorsFile.Open(Path.Combine(source, PeftAdapter.WeightsFile));
        using var ours = SafetensorsFile.Open(_folder.File(PeftAdapter.WeightsFile));
        Assert.Equal(theirs.Tensors.Keys.Order(), ours.Tensors.Keys.Order());
        Assert.All(theirs.Tensors.Values, tensor => Assert.Equal(tensor.Shape, ours[tensor.Name].Shape));
        var (wanted, found) = (Config(source), Config(_folder.Path));
        foreach (var key in (string[])["r", "lora_alpha", "peft_type", "task_type", "use_rslora", "bias", "fan_in_fan_out"])
            Assert.Equal(wanted[key]!.ToJsonString(), found[key]!.ToJsonString());
        Assert.Equal(wanted["target_modules"]!.AsArray().Select(name => (string)name!).Order(), found["target_modules"]!.AsArray().Select(name => (string)name!).Order());
        Assert.Equal(Logits(folder.Model), Logits(ModelFolder.Load(_folder.Path).Model));
    }

    [SharedFact(Case)]
    public void Factors_follow_the_options()
    {
        double Scale(string changes) => Changed(changes).Adapters!.All.First(own => own.Name.EndsWith("q_proj", StringComparison.Ordinal)).Adapter.Scale;
        Assert.Equal(2.5, Scale("{}"));
        Assert.Equal(5, Scale("""{"use_rslora":true}"""));
        Assert.Equal(5, Scale("""{"alpha_pattern":{"q_proj":20}}"""));
        Assert.Equal(2.5, Scale("""{"alpha_pattern":{"layers.1.*q_proj":20}}"""));
    }

    [SharedFact(Case)]
    public void What_is_not_supported_or_does_not_fit_is_told()
    {
        Expect("""{"use_dora":true}""", "use_dora is true; allowed: null or false");
        Expect("""{"peft_type":"IA3"}""", "peft_type is IA3; allowed: LORA");
        Expect("""{"bias":"all"}""", "bias is all; allowed: none");
        Expect("""{"modules_to_save":["lm_head"]}""", "; allowed: null or false: what it stands for is not done here");
        Expect("""{"base_model_name_or_path":"meta/llama"}""", "base_model_name_or_path is 'meta/llama'");
        Expect("""{"base_model_name_or_path":"."}""", "is an adapter itself");
        Expect("""{"alpha_pattern":{"(":1}}""", "alpha_pattern is '('");

        void Expect(string changes, string message) =>
            Assert.Contains(message, Assert.Throws<InvalidDataException>(() => Changed(changes)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_of_names_turned_and_stacked_otherwise_are_read_part_by_part()
    {
        // GPT-2 keeps queries, keys and values in one matrix, which an adapter adapts as one.
        var model = new DecoderOptions { Width = 8, Decoder = new TransformerOptions { Layers = 1, Attention = new Nn.Attention.MultiHeadOptions(2), FeedForward = new Nn.FeedForward.GeluOptions(6) } }.Build(11, seed: 3);
        var names = new TensorNames();
        foreach (var (name, _) in model.Parameters().Where(own => !own.Name.Contains(".attention.", StringComparison.Ordinal))) names.Same(name, name);
        foreach (var (part, first) in (ReadOnlySpan<(string, int)>)[("q", 0), ("k", 8), ("v", 16)]) names.Rows($"decoder.layers.0.attention.{part}_proj.weight", "h.0.c_attn.weight", first, 24, transposed: true);
        names.Same("decoder.layers.0.attention.o_proj.weight", "h.0.c_proj.weight");

        var (down, up) = (Numbers(2 * 8, 1), Numbers(24 * 2, 2));
        var writer = new SafetensorsWriter();
        using (Arena.Current.Scope())
        {
            writer.Add("base_model.model.h.0.c_attn.lora_A.weight", Tensor.From(down, [2, 8]).Keep());
            writer.Add("base_model.model.h.0.c_attn.lora_B.weight", Tensor.From(up, [24, 2]).Keep());
        }

        writer.Save(_folder.File(PeftAdapter.WeightsFile));
        File.WriteAllText(_folder.File(PeftAdapter.ConfigFile), """{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["c_attn"],"fan_in_fan_out":true}""");
        var before = model.Weights().ToDictionary(own => own.Name, own => own.Weight.AsTensor!.ToArray());
        PeftAdapter.Load(_folder.Path, model, names).Merge();
        foreach (var (part, first) in (ReadOnlySpan<(string, int)>)[("q", 0), ("k", 8), ("v", 16)])
        {
            var name = $"decoder.layers.0.attention.{part}_proj.weight";
            var (old, merged) = (before[name], model.Weights().Single(own => own.Name == name).Weight.AsTensor!.ToArray());
            for (var i = 0; i < 64; i++)
            {
                var (row, column) = (i / 8, i % 8);
                var added = 2.0 * Enumerable.Range(0, 2).Sum(rank => up[((first + row) * 2) + rank] * (double)down[(rank * 8) + column]);
                Assert.Equal(old[i] + added, merged[i], 1e-5);
            }
        }
    }

    [Theory]
    [InlineData("r", "0", "r is 0; allowed: 1 or above")]
    [InlineData("r", "7", "r is 7; allowed: 4, the rank of the tensors of 'decoder.layers.0.attention.")]
    [InlineData("rank_pattern", "{\"q_proj\":3}", "q_proj is 3; allowed: 4, the rank of the tensors of 'decoder.layers.0.attention.q_proj'")]
    public void A_rank_other_than_that_of_the_tensors_is_refused(string key, string value, string message)
    {
        var options = new DecoderOptions { Width = 8, Decoder = new TransformerOptions { Layers = 1, Attention = new Nn.Attention.MultiHeadOptions(2), FeedForward = new Nn.FeedForward.GeluOptions(6) } };
        var (model, again, lora) = (options.Build(11, seed: 3), options.Build(11, seed: 3), new LoraOptions { Rank = 4 });
        PeftAdapter.Save(_folder.Path, LoraAdapters.Attach(model, lora, new CounterRandom(1)), lora, model, TensorNames.Identity(model), "../base");
        var config = Config(_folder.Path);
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(_folder.File(PeftAdapter.ConfigFile), config.ToJsonString());
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => PeftAdapter.Load(_folder.Path, again, TensorNames.Identity(again))).Message, StringComparison.Ordinal);
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => PeftAdapter.Describe(_folder.Path)).Message, StringComparison.Ordinal);
        config["r"] = 7;
        config["rank_pattern"] = JsonNode.Parse("{\".*_proj\":4}");
        File.WriteAllText(_folder.File(PeftAdapter.ConfigFile), config.ToJsonString());
        Assert.NotEmpty(PeftAdapter.Load(_folder.Path, again, TensorNames.Identity(again)).All);
    }

    private static float[] Numbers(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => MathF.Sin((seed * 100) + i))];

    private static JsonObject Config(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, PeftAdapter.ConfigFile)))!.AsObject();

    private ModelFolder Changed(string changes)
    {
        var source = Fixture.Shared(Case)!;
        var config = Config(source);
        config["base_model_name_or_path"] = Path.GetFullPath(Path.Combine(source, "../llama"));
        foreach (var (key, value) in JsonNode.Parse(changes)!.AsObject()) config[key] = value?.DeepClone();
        File.WriteAllText(_folder.File(PeftAdapter.ConfigFile), config.ToJsonString());
        File.Copy(Path.Combine(source, PeftAdapter.WeightsFile), _folder.File(PeftAdapter.WeightsFile), overwrite: true);
        return ModelFolder.Load(_folder.Path);
    }

    private static float[] Logits(SequenceModel model)
    {
        using var scope = Arena.Current.Scope();
        var ids = Tensor.From([.. Enumerable.Range(0, 20).Select(i => 3 + (i * i % 50))], [2, 10]);
        var batch = Batch.Of(ids, ids, Batch.PositionsFromStart(2, 10));
        return model.Logits(batch, ForwardContext.At(batch.Positions)).ToArray();
    }

    private static double Largest(float[] left, float[] right) => left.Zip(right, (x, y) => Math.Abs((double)x - y)).Max();
}
